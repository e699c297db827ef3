"""Build a service from its settings and run it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from gantrans.directions import directions
from gantrans.errors import ConfigError, GantransError
from gantrans.operations.feedback.store import Store
from gantrans.operations.serving.hosting import LOOPBACK, listen, serve
from gantrans.operations.serving.intake import IntakeConfig
from gantrans.operations.serving.models import Model, Models, reason
from gantrans.operations.serving.monitors import DriftWatch, Operational
from gantrans.operations.serving.server import serve_app
from gantrans.operations.serving.service import Service

_ORIGIN = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[^\s:/?#@\[\]]+)(:[0-9]{1,5})?")


@dataclass(frozen=True)
class ServeConfig:
    """Settings of a service; see `python -m gantrans serve --help`.

    hosts, origins: accepted beside the service's own, for a proxy that sends another Host header, or whose
        pages have another origin. request_s: time limit of a request.
    """

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
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    request_s: float = 60.0

    def __post_init__(self) -> None:
        if self.host not in LOOPBACK and not self.token:
            raise ConfigError(
                f"Other machines can reach {self.host}: set a token (--token or GANTRANS_TOKEN), or serve "
                "on 127.0.0.1."
            )
        for origin in self.origins:
            if not _ORIGIN.fullmatch(origin):
                raise ConfigError(
                    f"--allow-origin is {origin!r}; write scheme, host and port as the browser does: "
                    "https://sem.example:8443."
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
    store.check()
    for direction in models.directions():  # the first forward pass is slow; do it before a request arrives
        _run_once(service.model(direction))
    listening = listen(config.host, config.port)
    hosts = (*LOOPBACK, *config.hosts) if config.host in LOOPBACK or config.hosts else ("*",)
    intake = IntakeConfig(
        token=config.token,
        max_requests=config.waiting,
        request_s=config.request_s,
        origins=tuple(origin.lower() for origin in config.origins),
    )
    app = serve_app(service, intake, hosts)
    host = f"[{config.host}]" if ":" in config.host else config.host
    address = f"http://{host}:{listening.getsockname()[1]}/"
    served = ", ".join(models.directions())
    echo(f"{served} at {address} - Ctrl+C stops; predictions and feedback are stored in {store.path}.")
    try:
        serve(app, listening, browser=config.browser)
    finally:
        try:
            if watch is not None:
                watch.save()
        finally:
            store.close()


def _run_once(model: Model) -> None:
    side = model.predictor.recipe.data.size
    try:
        model.predictor.translate(torch.zeros(1, 1, side, side))
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, GantransError):
            raise
        raise ConfigError(
            f"The network of {model.direction} cannot be run ({reason(error)}); free memory, or choose "
            "another --device."
        ) from error
