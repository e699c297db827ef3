"""`finetune`, `gate` and `cycle`: from labels in a feedback store to the next champion of a registry."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gantrans.command_line.options import (
    Accepted,
    Count,
    DefectRule,
    Device,
    InRegistry,
    InStore,
    Json,
    RegistryDirection,
    Since,
)
from gantrans.command_line.registry import chosen, opened
from gantrans.errors import ConfigError, GantransError

if TYPE_CHECKING:
    from gantrans.operations.promotion.finetune import FineTuneConfig
    from gantrans.operations.promotion.gate import GateConfig

app = typer.Typer()
"""Its commands are added to the top level."""

REFUSED = 1
"""Exit code when the champion stays: the gate refused, or there was too little to judge."""

Share = Annotated[float, typer.Option(help="Share of replayed pairs in a batch.", min=0.0, max=0.9)]
Rate = Annotated[float, typer.Option(help="Factor on the recipe's learning rate.", min=1e-6, max=1.0)]
Epochs = Annotated[int, typer.Option(help="Passes over the labelled pairs.", min=1, max=20)]
Seed = Annotated[int, typer.Option(help="Seed of the order of the pairs.", min=0)]
Alpha = Annotated[float, typer.Option(help="One-sided error of each bound.", min=1e-4, max=0.5)]
OldMargin = Annotated[float, typer.Option(help="Largest loss on the old conditions.", min=0.0)]
Every = Annotated[
    float | None,
    typer.Option(help="Hours between two turns, until Ctrl+C.", min=0.001, show_default="once"),
]
MoveReference = Annotated[
    bool, typer.Option("--move-reference", help="Let a promotion set the reference of quality.")
]
FamilyMargin = Annotated[float, typer.Option(help="Largest loss of one family's mean.", min=0.0)]


def _tuning(epochs: int, rate: float, share: float, seed: int) -> "FineTuneConfig":
    from gantrans.operations.promotion.finetune import FineTuneConfig

    return FineTuneConfig(epochs=epochs, rate=rate, share=share, seed=seed)


def _gate(alpha: float, old: float, family: float, rule: DefectRule) -> "GateConfig":
    from gantrans.operations.promotion.gate import GateConfig

    return GateConfig(alpha=alpha, old_margin=old, family_margin=family, defect_rule=rule.value)


@app.command()
def finetune(
    registry: InRegistry,
    store: InStore,
    out: Annotated[Path, typer.Option(help="Folder of the run.", show_default=False)],
    direction: RegistryDirection = None,
    epochs: Epochs = 20,
    rate: Rate = 0.1,
    share: Share = 0.5,
    taught: Count = 0,
    since: Since = None,
    accepted: Accepted = False,
    seed: Seed = 0,
    device: Device = None,
) -> None:
    """Tune the champion on the labels of the present regime; half of the layouts is kept for the gate.

    In the first regime each batch has --share of the champion's training pairs; none after `registry retire`.

    Example: python -m gantrans finetune --registry models --store feedback.sqlite --out runs/second
    """
    from gantrans.operations.feedback.store import Store
    from gantrans.operations.promotion.challenge_pairs import WindowConfig, windows_of
    from gantrans.operations.promotion.finetune import fine_tune

    models = opened(registry)
    name = chosen(models, direction)
    champion = models.version(name, "champion")
    config = WindowConfig(taught=taught, accepted=accepted, since=since)
    windows = windows_of(Store(store, create=False), models, name, config)
    for note in windows.notes:
        typer.echo(note)
    tuning = _tuning(epochs, rate, share, seed)
    done = fine_tune(
        champion.folder, windows.new, windows.replay, tuning, out=out, validation={"hold": windows.hold},
        parent=champion.name, device=device,
    )  # fmt: skip
    for alarm in done.alarms:
        typer.echo(f"alarm: {alarm}")
    before, after = (
        ", ".join(f"{k} {v:.3f}" for k, v in scores.items()) for scores in (done.before, done.after)
    )
    typer.echo(
        f"Held-out labels: {before} before, {after} after.\n"
        f"Next: python -m gantrans registry register {registry} {out} --parent {champion.name}"
    )


@app.command()
def gate(
    registry: InRegistry,
    store: InStore,
    challenger: Annotated[str, typer.Option(help="A version.")] = "challenger",
    direction: RegistryDirection = None,
    judged: Count = 0,
    since: Since = None,
    alpha: Alpha = 0.01,
    old_margin: OldMargin = 0.02,
    family_margin: FamilyMargin = 0.03,
    defects: Annotated[DefectRule, typer.Option(help="Rule for new opens and bridges.")] = DefectRule.bound,
    report: Annotated[
        Path | None, typer.Option(help="Write the report as JSON to this file.", show_default=False)
    ] = None,
    json_output: Json = False,
    device: Device = None,
) -> None:
    """Compare champion and challenger on the judging half of the labels; nothing is changed.

    Exit code 0: promote; 1: keep the champion, or too few layouts; 2: bad input.

    Example: python -m gantrans gate --registry models --store feedback.sqlite --report gate.json
    """
    from gantrans.files import replace_file
    from gantrans.operations.feedback.store import Store
    from gantrans.operations.promotion.challenge_pairs import WindowConfig, windows_of
    from gantrans.operations.promotion.comparison import smoke_inference
    from gantrans.operations.promotion.cycle import judge
    from gantrans.training import pick_device

    if report is not None and not report.parent.is_dir():
        raise ConfigError(f"The folder {report.parent} does not exist; make it or write somewhere else.")
    models, place = opened(registry), pick_device(device)
    name = chosen(models, direction)
    before, after = models.version(name, "champion"), models.version(name, challenger)
    if before.name == after.name:
        raise ConfigError(f"{after.name} is the champion itself; name another version with --challenger.")
    windows = windows_of(Store(store, create=False), models, name, WindowConfig(judged=judged, since=since))
    known, candidate = (models.predictor(name, version.name, place) for version in (before, after))
    problem = smoke_inference(after.folder, windows.hold, place)
    decision = judge(
        known, candidate, windows, _gate(alpha, old_margin, family_margin, defects), smoke_problem=problem
    )
    found = {"champion": before.name, "challenger": after.name, "direction": name, **decision.to_dict()}
    text = json.dumps({**found, "notes": list(windows.notes)}, indent=1)
    if report is not None:
        try:
            replace_file(report, text + "\n")
        except OSError as error:
            raise ConfigError(
                f"{report} cannot be written ({error.strerror}); choose another file."
            ) from error
    lines = [*windows.notes, f"{after.name} against {before.name}: {decision}"]
    typer.echo(text if json_output else "\n".join(lines))
    if not decision.promoted:
        raise typer.Exit(REFUSED)


@app.command()
def cycle(
    registry: InRegistry,
    store: InStore,
    direction: RegistryDirection = None,
    every: Every = None,
    at_least: Annotated[int, typer.Option(help="New labels that start a turn.", min=1)] = 50,
    epochs: Epochs = 20,
    rate: Rate = 0.1,
    share: Share = 0.5,
    taught: Count = 0,
    judged: Count = 0,
    since: Since = None,
    accepted: Accepted = False,
    alpha: Alpha = 0.01,
    old_margin: OldMargin = 0.02,
    family_margin: FamilyMargin = 0.03,
    defects: Annotated[DefectRule, typer.Option(help="Rule for new opens and bridges.")] = DefectRule.bound,
    move_reference: MoveReference = False,
    seed: Seed = 0,
    json_output: Json = False,
    device: Device = None,
) -> None:
    """One turn of the loop: tune the champion on new labels, ask the gate, promote or refuse.

    A turn that was killed is continued or started anew by the next one. A running `serve --registry` uses a
    new champion from its next request on. Exit code 0: promoted; 1: refused, or too few labels; 2: bad input.

    Example: python -m gantrans cycle --registry models --store feedback.sqlite --every 24
    """
    from gantrans.operations.feedback.store import Store
    from gantrans.operations.promotion.challenge_pairs import WindowConfig
    from gantrans.operations.promotion.cycle import PROMOTED, CycleConfig, run_cycle

    models = opened(registry)
    name = chosen(models, direction)
    config = CycleConfig(
        at_least, WindowConfig(taught, judged, accepted, since), _tuning(epochs, rate, share, seed),
        _gate(alpha, old_margin, family_margin, defects), move_reference,
    )  # fmt: skip
    labels = Store(store, create=False)

    def turn() -> bool:
        found = run_cycle(models, labels, name, config, device=device)
        typer.echo(json.dumps(found.to_dict()) if json_output else str(found))
        return found.outcome == PROMOTED

    promoted = turn()
    while every is not None:
        time.sleep(3600 * every)
        try:
            turn()
        except GantransError as error:  # a full disk, a busy store: the next turn may succeed
            typer.echo(f"error: {error} The next turn is in {every:g} hours.", err=True)
    if not promoted:
        raise typer.Exit(REFUSED)
