"""Build a service from its settings and run it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from gantrans.directions import directions
from gantrans.errors import ConfigError
from gantrans.operations.feedback.store import Store
from gantrans.operations.serving.hosting import LOOPBACK, listen, serve
from gantrans.operations.serving.intake import IntakeConfig
from gantrans.operations.serving.models import Models
from gantrans.operations.serving.monitors import DriftWatch, Operational
from gantrans.operations.serving.server import serve_app
from gantrans.operations.serving.service import Service


@dataclass(frozen=True)
class ServeConfig:
    """Settings of a service; see `python -m gantrans serve --help`."""

    store: Path
    runs: tuple[Path, ...] = ()
    registry: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    waiting: int = 16
    drift: tuple[str, ...] = ()
    browser: bool = False
    device: str | None = None
    direction: str | None = None

    def __post_init__(self) -> None:
        if self.host not in LOOPBACK and not self.token:
            raise ConfigError(
                f"Other machines can reach {self.host}: set a token (--token or GANTRANS_TOKEN), or serve "
                "on 127.0.0.1."
            )
        for text in self.drift:
            direction, _, file = text.partition("=")
            if direction not in directions() or not file:
                raise ConfigError(
                    f"--drift is {text!r}; write DIRECTION=FILE, where DIRECTION is one of "
                    f"{', '.join(directions())}."
                )


def run_service(config: ServeConfig, echo: Callable[[str], None]) -> None:
    """Load the models, run each once, and serve requests until Ctrl+C or SIGTERM.

    `echo` prints the line with the address.

    Raises:
        GantransError: a run, the registry, the store or the address cannot be used.
    """
    models = Models(config.runs, config.registry, config.device, direction=config.direction)
    files = (text.partition("=") for text in config.drift)
    watch = DriftWatch({direction: Path(file) for direction, _, file in files}) if config.drift else None
    store = Store(config.store)
    service = Service(models, store, Operational(), watch)
    for direction in models.directions():  # the first forward pass is slow; do it before a request arrives
        model = service.model(direction)
        side = model.predictor.recipe.data.size
        model.predictor.translate(torch.zeros(1, 1, side, side))
    listening = listen(config.host, config.port)
    hosts = LOOPBACK if config.host in LOOPBACK else ("*",)
    app = serve_app(service, IntakeConfig(token=config.token, max_requests=config.waiting), hosts)
    address = f"http://{config.host}:{listening.getsockname()[1]}/"
    served = ", ".join(models.directions())
    echo(f"{served} at {address} - Ctrl+C stops; predictions and feedback are stored in {store.path}.")
    try:
        serve(app, listening, browser=config.browser)
    finally:
        if watch is not None:
            watch.save()
        store.close()
