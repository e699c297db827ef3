"""Lesson 13: the quarter of `experiments.quarter` behind a real server on loopback, with store and registry.

A client sends files and labels over HTTP; a trainer beside the server reads the store, and `cycle.challenge`
tunes, registers, judges from the registered files, and promotes or refuses; the server follows at the next
request. Labels come shuffled, and every tenth is sent twice, as labels do.
"""

import http.client
import io
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gantrans.data import PairedDataset
from gantrans.errors import GantransError
from gantrans.images import uint8_from_unit, unit_from_uint8
from gantrans.operations.drift.detector import DRIFT
from gantrans.operations.feedback.pictures import encode_png
from gantrans.operations.feedback.store import Store
from gantrans.operations.promotion.challenge_pairs import Windows
from gantrans.operations.promotion.cycle import challenge
from gantrans.operations.promotion.finetune import FineTuneConfig
from gantrans.operations.promotion.gate import Decision
from gantrans.operations.promotion.registry import Registry
from gantrans.operations.serving.decode import decode
from gantrans.operations.serving.hosting import listen
from gantrans.operations.serving.intake import IntakeConfig
from gantrans.operations.serving.models import Models
from gantrans.operations.serving.monitors import DriftWatch, Operational, label_scores, performance
from gantrans.operations.serving.server import serve_app
from gantrans.operations.serving.service import Service
from gantrans.translation import Predictor
from lessons.lesson13.experiments import quarter_setting
from lessons.lesson13.experiments.bench import GATE
from lessons.shared.process_change import DIRECTION, PIXEL_NM

FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
STRAY_DAYS = range(15, 20)
"""Days on which somebody's new camera also sends 12-bit images without saying so."""


class Reply(NamedTuple):
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


class Served:
    """A `bench.Site` behind HTTP; `close` it, or use it in a `with` statement.

    Args:
        scale, seed: which quarter.
        folder: gets registry, store and runs.
    """

    def __init__(self, scale: str, seed: int, folder: Path) -> None:
        import uvicorn

        self.scale, self.seed, self.folder, self.day = scale, seed, folder, 0
        self.registry = Registry(folder / "registry")
        self.registry.register(quarter_setting.champion(scale, seed), note="in production on day 0")
        self.registry.promote(DIRECTION)
        self.store = Store(folder / "store.sqlite")
        saved = folder / "drift.safetensors"
        quarter_setting.detector(0, scale).save(saved)
        self.watch = DriftWatch({DIRECTION: saved})
        self.service = Service(Models(registry=self.registry.root), self.store, Operational(), self.watch)
        listening = listen("127.0.0.1", 0)
        self.port = listening.getsockname()[1]
        app = serve_app(self.service, IntakeConfig())
        config = uvicorn.Config(app, log_level="warning", server_header=False, timeout_keep_alive=3600)
        self.server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listening]}, daemon=True)
        self._thread.start()
        while not self.server.started:
            if not self._thread.is_alive():
                raise GantransError("The server ended before it began; read its output above.")
            time.sleep(0.01)
        self._client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        self._scores: dict[tuple[str, str], float] = {}
        self.families: dict[str, str] = {}
        self.challenger: str | None = None
        self.statuses: list[Counter[int]] = []

    def __enter__(self) -> "Served":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the server and close the store."""
        self._client.close()
        self.server.should_exit = True
        self._thread.join()
        self.store.close()

    # ---- the client

    def ask(self, method: str, path: str, image: bytes | None = None, body: Any = None) -> Reply:
        """One request; `image` goes as an uploaded file, `body` as JSON."""
        data, kind = b"", "application/json"
        if image is not None:
            kind = "multipart/form-data; boundary=part"
            head = (
                b'--part\r\nContent-Disposition: form-data; name="image"; filename="any.png"\r\n'
                b"Content-Type: image/png\r\n\r\n"
            )
            data = head + image + b"\r\n--part--\r\n"
        elif body is not None:
            data = json.dumps(body).encode()
        self._client.request(method, path, data, {"Content-Type": kind})
        answer = self._client.getresponse()
        return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def send(self, name: str, image: bytes, *, bits: int | None = None) -> Reply:
        """Ask for a translation."""
        stated = "" if bits is None else f"&bits={bits}"
        return self.ask("POST", f"/translate?direction={DIRECTION}&id={name}{stated}", image)

    def send_label(self, prediction: str, label: str, image: bytes, *, day: float = 0.0) -> Reply:
        """Say what a prediction should have been; `day` is when that was found out."""
        made = (FIRST_DAY + timedelta(days=day)).isoformat().replace("+00:00", "Z")
        return self.ask("PUT", f"/predictions/{prediction}/labels/{label}?kind=truth&made_at={made}", image)

    # ---- a Site

    def translate(self, pairs: PairedDataset) -> Tensor:
        """See `bench.Site`; one request per image, and on some days a stray one."""
        outputs, statuses = [], Counter[int]()
        for sem, name, family in zip(unit_from_uint8(pairs.sem), pairs.names, pairs.family, strict=True):
            answer = self.send(name, encode_png(sem))
            statuses[answer.status] += 1
            if answer.status != 200:
                raise GantransError(f"The server refused {name}: {answer.body.decode()}")
            outputs.append(decode(answer.body))
            self.families[name] = family
        if self.day in STRAY_DAYS:
            stray = self.send(f"stray-{self.day:03d}", png_16_bit(unit_from_uint8(pairs.sem[0]), bits=12))
            statuses[stray.status] += 1
        self.statuses.append(statuses)
        self.day += 1
        return torch.stack(outputs)

    def label(self, pairs: PairedDataset) -> None:
        """See `bench.Site`; in a random order, every tenth twice."""
        order = list(range(len(pairs)))
        random.Random(self.day).shuffle(order)
        for number, i in enumerate([*order, *order[::10]]):
            image = encode_png(unit_from_uint8(pairs.layout[i]))
            name = pairs.names[i]
            answer = self.send_label(name, f"{name}-label", image, day=self.day + i / 1000)
            if answer.status != (201 if number < len(order) else 200):
                raise GantransError(f"The label of {name} was not kept: {answer.body.decode()}")

    def labelled(self) -> PairedDataset:
        """See `bench.Site`; from the store."""
        rows = [pair for pair in self.store.pairs(DIRECTION) if pair.prediction in self.families]
        rows.sort(key=lambda pair: pair.prediction)
        sem, layout = (
            torch.stack([uint8_from_unit(self.store.image(getattr(row, side))) for row in rows])
            for side in ("input", "target")
        )
        names = [row.prediction for row in rows]
        return PairedDataset(sem, layout, [self.families[name] for name in names], PIXEL_NM, names)

    def qualities(self) -> list[tuple[int, float]]:
        """See `bench.Site`; scored when they are first asked for."""
        found = []
        for prediction, _, _, output, label, image in self.store.labels():
            if prediction not in self.families:
                continue
            key = prediction, label
            if key not in self._scores:
                scores = label_scores(self.store.image(output), self.store.image(image))
                self.store.keep_score(prediction, label, scores)
                self._scores[key] = scores["iou"] or 0.0
            found.append((prediction, self._scores[key]))
        return [(quarter_setting.day_of(name), value) for name, value in sorted(found)]

    def scores(self, pairs: PairedDataset) -> Tensor:
        """See `bench.Site`; from the registered files."""
        return quarter_setting.ious(self.champion(), pairs)

    def scores_before(self, pairs: PairedDataset) -> Tensor:
        """See `bench.Site`; from the registered files."""
        return quarter_setting.ious(self.registry.predictor(DIRECTION, "previous"), pairs)

    def drift(self) -> tuple[float, bool]:
        """See `bench.Site`; as the server says it."""
        report = self.watch.report()[DIRECTION]
        return report["chart"] / report["limit"], report["status"] == DRIFT

    def challenge(self, windows: Windows, day: int, tuning: FineTuneConfig) -> Decision:
        """See `bench.Site`: one turn of the cycle, as `python -m gantrans cycle` does it."""
        out = self.folder / f"day-{day:03d}-{len(self.registry.versions(DIRECTION))}"
        found = challenge(
            self.registry, DIRECTION, windows, tuning=replace(tuning, seed=day), gate=GATE, folder=out,
            progress=False,
        )  # fmt: skip
        self.challenger = found.version
        assert found.decision is not None
        return found.decision

    def promote(self, why: str) -> None:
        """See `bench.Site`."""
        assert self.challenger is not None
        self.registry.promote(DIRECTION, self.challenger, details={"why": why, "who": "by hand"})

    def roll_back(self, why: str) -> None:
        """See `bench.Site`."""
        self.registry.rollback(DIRECTION, why=why, who="the person on duty")

    def retire(self, day: int, since: int, why: str) -> None:
        """See `bench.Site`; a line of the registry's history."""
        began = (FIRST_DAY + timedelta(days=since)).isoformat()
        self.registry.retire(
            DIRECTION, opens=f"from day {since}", since=began, why=why, who="the person on duty"
        )
        self.watch.detectors[DIRECTION] = quarter_setting.detector(day, self.scale)

    def champion(self) -> Predictor:
        """The translator that serves, from its registered files."""
        return self.registry.predictor(DIRECTION)

    def performance(self) -> list[dict[str, Any]]:
        """The third monitor: quality by version, with coverage."""
        return performance(self.store)


def png_16_bit(image: Tensor, bits: int = 16) -> bytes:
    """An image, (1, H, W) in [0, 1], as a 16-bit PNG of which only `bits` are used."""
    values = (image[0].double().numpy() * (2**bits - 1)).round().astype(np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()
