"""One turn of the loop: labels -> fine-tuning -> version -> gate -> promotion or refusal.

`challenge` does it with pairs that are given, `run_cycle` with those of a feedback store. Lesson 13, the
commands and whoever runs the loop use these two.

A turn can be killed at any moment. Until the version is registered, nothing but a hidden folder of the
registry was written, and the next turn clears it. A registered challenger that was not judged yet is judged
by the next turn if that would teach the same pairs to the same champion; else the turn starts anew. Promotion
and refusal are one change of the registry each. So there is one valid champion at every moment.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from gantrans.config import check_range, to_dict
from gantrans.directions import direction as registered
from gantrans.files import held, remove_drafts
from gantrans.operations.feedback.store import Store
from gantrans.operations.promotion.challenge_pairs import (
    WindowConfig,
    Windows,
    count_labels,
    layout_of,
    windows_of,
)
from gantrans.operations.promotion.comparison import compare, measure_latency, score_images, smoke_inference
from gantrans.operations.promotion.disk import DiskError, as_json
from gantrans.operations.promotion.finetune import FineTuneConfig, fine_tune
from gantrans.operations.promotion.gate import Decision, GateConfig, decide
from gantrans.operations.promotion.registry import Registry
from gantrans.operations.promotion.versions import RegistryError, Version, digest
from gantrans.training import pick_device
from gantrans.translation import Predictor

TUNING = FineTuneConfig(epochs=20, rate=0.1, share=0.5)
"""What the commands tune with: a low rate, and replay as long as the first regime holds."""
GATE = GateConfig(old_margin=0.02, defect_rule="bound")
"""What the commands judge by: "bound" because a champion in service is seldom without defects."""
HIDDEN = ".tuning"
"""Folder of the training run of a turn, beside the versions."""
PROMOTED: Final = "promoted"
REFUSED: Final = "refused"
WAITING: Final = "waiting"


@dataclass(frozen=True)
class CycleConfig:
    """Settings of a turn.

    at_least: labels that must have come since the last challenge of the regime.
    windows, tuning, gate: which pairs, how to tune, how to judge.
    move_reference: after a promotion, set the reference of quality to the new champion's on the hold-out.
    """

    at_least: int = 50
    windows: WindowConfig = field(default_factory=WindowConfig)
    tuning: FineTuneConfig = TUNING
    gate: GateConfig = GATE
    move_reference: bool = False

    def __post_init__(self) -> None:
        check_range(self, "at_least", 1)


@dataclass(frozen=True)
class Outcome:
    """Result of a turn.

    outcome: "promoted", "refused" (the champion stays), or "waiting" (too few labels; nothing was done).
    version, champion: the challenger (None while waiting), and the champion that it was compared with.
    decision: of the gate; None while waiting.
    why: one sentence. notes: further sentences for a reader.
    """

    outcome: Literal["promoted", "refused", "waiting"]
    version: str | None
    champion: str
    decision: Decision | None
    why: str
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain Python, for JSON."""
        decision = self.decision.to_dict() if self.decision else None
        return {**{k: v for k, v in vars(self).items() if k != "notes"}, "decision": decision,
                "notes": list(self.notes)}  # fmt: skip

    def __str__(self) -> str:
        parts = [*self.notes, *([str(self.decision)] if self.decision else []), self.why]
        return "\n".join(parts)


def judge(
    champion: Predictor,
    challenger: Predictor,
    windows: Windows,
    gate: GateConfig = GATE,
    *,
    smoke_problem: str = "",
) -> Decision:
    """The gate on the hold-outs of the windows, clustered by layout.

    Conditions that hold no longer are not checked, nor is the latency of two equal networks.
    """
    new, old = (
        None if pairs is None else compare(champion, challenger, pairs, [layout_of(n) for n in pairs.names])
        for pairs in (windows.hold, windows.old)
    )
    assert new is not None
    same = champion.recipe.generator == challenger.recipe.generator
    latency = None if same else measure_latency(champion, challenger, windows.hold)
    return decide(new, old, latency=latency, smoke_problem=smoke_problem, config=gate)


def challenge(
    registry: Registry,
    direction: str,
    windows: Windows,
    *,
    tuning: FineTuneConfig = TUNING,
    gate: GateConfig = GATE,
    folder: Path | None = None,
    seed: int | None = None,
    details: Mapping[str, Any] | None = None,
    progress: bool = True,
    device: str | None = None,
) -> Outcome:
    """Fine-tune the champion, register the result, judge it from its files, and promote or refuse it.

    Args:
        windows: pairs to teach and to judge by.
        folder: of the training run, which must be new or empty and is kept; None: a hidden one of the
            registry, which is removed once the version is registered.
        seed: of the tuning; None: that of `tuning`.
        details: plain values for the history, beside the decision.

    Raises:
        RegistryError: there is no champion, or it or the regime changed meanwhile; nothing is promoted then.
        TrainingError, DataError, DiskError: see `fine_tune`, `decide` and `Registry`.
    """
    champion = registry.version(direction, "champion")
    tuning = tuning if seed is None else replace(tuning, seed=seed)
    plan = _plan(registry, direction, champion, windows, tuning)
    version = _unjudged(registry, direction, champion, plan)
    if version is None:
        version = _tune(registry, direction, champion, windows, tuning, folder, plan, progress, device)
    place = pick_device(device)
    before, after = (registry.predictor(direction, v.name, place) for v in (champion, version))
    problem = smoke_inference(version.folder, windows.hold, place)
    decision = judge(before, after, windows, gate, smoke_problem=problem)
    if registry.regime(direction).name != plan["regime"]:
        raise RegistryError(
            f"The regime {plan['regime']!r} was retired while {version.name} was judged by it; nothing was "
            "promoted: start another turn."
        )
    return _decided(registry, direction, champion, version, decision, windows, gate, details or {})


def run_cycle(
    registry: Registry,
    store: Store,
    direction: str,
    config: CycleConfig = CycleConfig(),
    *,
    progress: bool = True,
    device: str | None = None,
) -> Outcome:
    """One turn with the labels of a store; a second one on the same registry and direction is refused.

    Raises:
        BusyError: another process runs a turn.
        DataError: the regime has no label. GantransError: see `challenge`.
    """
    champion = registry.version(direction, "champion").name
    with alone(registry, direction):
        known = count_labels(store, registry, direction, config.windows)
        fresh = known - _used(registry, direction)
        if fresh < config.at_least:
            why = f"{fresh} labels since the last challenge, of at least {config.at_least}: nothing was done."
            return Outcome(WAITING, None, champion, None, why)
        windows = windows_of(store, registry, direction, config.windows)
        layouts = len({layout_of(name) for name in windows.hold.names})
        if layouts < config.gate.fewest_clusters:
            why = (
                f"{layouts} layouts judge, of at least {config.gate.fewest_clusters}: nothing was done; "
                "label more layouts."
            )
            return Outcome(WAITING, None, champion, None, why, windows.notes)
        details = {"labels": known, "regime": registry.regime(direction).name}
        found = challenge(
            registry, direction, windows, tuning=config.tuning, gate=config.gate, details=details,
            progress=progress, device=device,
        )  # fmt: skip
        if config.move_reference and found.outcome == PROMOTED and found.version:
            _move_reference(registry, direction, found.version, windows, device)
        return found


@contextmanager
def alone(registry: Registry, direction: str) -> Iterator[None]:
    """The lock of a turn.

    Raises:
        BusyError: another process holds it. DiskError: the registry cannot be written.
    """
    path = registry.root / direction / ".cycle.lock"
    with ExitStack() as stack:
        try:
            stack.enter_context(held(path, f"The cycle of {direction} in {registry.root}"))
        except OSError as error:
            raise DiskError(f"Cannot write {path} ({error.strerror or error}); make it writable.") from error
        remove_drafts(path.parent, f"{path.name}.holder", alone=True)  # both of a turn that was killed
        _clear(path.with_name(HIDDEN))
        yield


def _plan(
    registry: Registry, direction: str, champion: Version, windows: Windows, tuning: FineTuneConfig
) -> dict[str, Any]:
    """What a challenger is made of: equal plans give equal challengers."""
    replay = windows.replay
    about = {
        "champion": champion.name,
        "regime": registry.regime(direction).name,
        "taught": digest(as_json({"names": windows.new.names})),
        "pixels": digest(b"".join(side.numpy().tobytes() for side in (windows.new.a, windows.new.b))),
        "replayed": 0 if replay is None else len(replay),
        "tuning": to_dict(tuning),
    }
    return {"plan": digest(as_json(about)), "regime": about["regime"], "taught": len(windows.new)}


def _unjudged(
    registry: Registry, direction: str, champion: Version, plan: Mapping[str, Any]
) -> Version | None:
    """The challenger that a killed turn with the same plan has registered."""
    waiting = registry.aliases(direction).challenger
    if waiting is None:
        return None
    version = registry.version(direction, waiting)
    same = (version.about.get("cycle") or {}).get("plan") == plan["plan"]
    return version if same and version.about.get("parent") == champion.name else None


def _tune(
    registry: Registry,
    direction: str,
    champion: Version,
    windows: Windows,
    tuning: FineTuneConfig,
    folder: Path | None,
    plan: Mapping[str, Any],
    progress: bool,
    device: str | None,
) -> Version:
    """Fine-tune and register."""
    hidden = registry.root / direction / HIDDEN
    if folder is None:
        _clear(hidden)
    run = fine_tune(
        champion.folder, windows.new, windows.replay, tuning, out=folder or hidden, parent=champion.name,
        progress=progress, device=device,
    )  # fmt: skip
    assert run.folder is not None
    replayed = 0 if windows.replay is None else len(windows.replay)
    note = f"tuned on {len(windows.new)} labelled pairs of the regime {plan['regime']!r}, {replayed} replayed"
    note += f"; {len(run.alarms)} alarms of its losses" if run.alarms else ""
    version = registry.register(run.folder, parent=champion.name, note=note, cycle=plan)
    if folder is None:
        _clear(hidden)
    return version


def _clear(folder: Path) -> None:
    if not folder.exists():
        return
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise DiskError(f"{folder} cannot be removed ({error.strerror or error}); remove it.") from error


def _decided(
    registry: Registry,
    direction: str,
    champion: Version,
    version: Version,
    decision: Decision,
    windows: Windows,
    gate: GateConfig,
    details: Mapping[str, Any],
) -> Outcome:
    """Promote or refuse, with the reason."""
    failed = [check.text for check in decision.checks if check.passed is not True]
    gain = next(check for check in decision.checks if check.name == "new bound")
    notes = (*windows.notes, *_tries(registry, direction, gate))
    if decision.promoted:
        why = f"{version.name} replaces {champion.name}: {gain.text}."
        story = {**details, "why": why, "who": "gate", **decision.to_dict()}
        registry.promote(direction, version.name, over=champion.name, details=story)
        return Outcome(PROMOTED, version.name, champion.name, decision, why, notes)
    why = f"{version.name} does not replace {champion.name}: {'; '.join(failed)}."
    story = {**details, "why": why, "who": "gate", **decision.to_dict()}
    registry.refuse(direction, version.name, details=story)
    return Outcome(REFUSED, version.name, champion.name, decision, why, notes)


def _since_regime(registry: Registry, direction: str) -> list[dict[str, Any]]:
    """The lines of the history since the present regime was opened."""
    events = registry.history(direction)
    begin = max((i for i, event in enumerate(events) if event["action"] == "retire"), default=-1)
    return events[begin + 1 :]


def _used(registry: Registry, direction: str) -> int:
    """How many labels of the regime the last challenge had."""
    counts = [e["details"]["labels"] for e in _since_regime(registry, direction) if "labels" in e["details"]]
    return int(counts[-1]) if counts else 0


def _tries(registry: Registry, direction: str, gate: GateConfig) -> list[str]:
    """What repeated use of one hold-out costs."""
    judged = [e for e in _since_regime(registry, direction) if "checks" in e["details"]]
    if not judged:
        return []
    chance = 1 - (1 - gate.alpha) ** (len(judged) + 1)
    return [
        f"Its hold-out has judged {len(judged)} challengers of this regime before: of {len(judged) + 1} that "
        f"are as good as the champion, one passes with a chance of about {100 * chance:.0f} %."
    ]


def _move_reference(
    registry: Registry, direction: str, version: str, windows: Windows, device: str | None
) -> None:
    quality, _ = score_images(registry.predictor(direction, version, pick_device(device)), windows.hold)
    registry.set_reference(
        direction, version=version, value=float(quality.mean()), metric=registered(direction).quality,
        count=len(quality), why=f"{version} was promoted with --move-reference", who="cycle",
    )  # fmt: skip
