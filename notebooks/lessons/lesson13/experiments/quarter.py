"""Lesson 13, claims G38 and G56: a quarter in production, with two changes, under two policies of training.

Ninety days, and every day images of a measuring site, some of which are labelled and come back days later.
The first change is one of the images, the second one of what is drawn (`quarter_setting`). What a policy may
know are the images of today and the labels that have arrived; the quality of every day is known to the
simulation alone. Both policies see the same images; 12 labels a day come three days late,
and twice as many while the inputs alarm or a regime recovers: drift asks for labels.

Two lines enclose them: the champion of the first day, never trained again, and an oracle, which is told of a
change on its day and is trained at once on 512 pairs of the new phase, as many as the champion was taught.
"""

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gantrans.config import to_dict
from gantrans.operations.promotion.finetune import FineTuneConfig, fine_tune
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Row, Table
from gantrans.translation import Predictor
from lessons.lesson13.experiments import person
from lessons.lesson13.experiments.bench import GATE, Bench, Site
from lessons.lesson13.experiments.loop import (
    HABITS,
    MORE,
    ON_DRIFT,
    ON_LABELS,
    RULE,
    SLIP,
    TRIGGER,
    TUNING,
    Loop,
    Story,
)
from lessons.lesson13.experiments.quarter_setting import (
    GAIN,
    KEPT,
    LOST,
    MONITOR,
    PARTS,
    SCENARIOS,
    SEEDS,
    SETTINGS,
    QuarterSetting,
    champion,
    champion_recipe,
    day_pairs,
    ious,
    part_of,
    phase_pairs,
)
from lessons.shared.process_change import CONDITIONS

NEVER, ORACLE = "never train", "oracle"
ARMS = (NEVER, ON_DRIFT, ON_LABELS, ORACLE)
ORACLE_TUNING = FineTuneConfig(epochs=6, rate=1.0, share=0.0)


def run_quarter(site: Site, policy: str, scale: str, seed: int, folder: Path, scenario: str = KEPT) -> Story:
    """Live through the quarter; `folder` keeps the time of the last start."""
    setting, loop = SETTINGS[scale], Loop(site, policy, scale, seed, folder, scenario)
    for day in range(setting.days):
        loop.translate(day)
        loop.collect(day)
        loop.look(day)
        loop.decide(day)
        if day == setting.slip:
            loop.slip(day)
        elif (reason := loop.wanted()) and loop.may_start():
            loop.train(day, reason)
    return loop.story


def never(scale: str, seed: int, scenario: str) -> Story:
    """The quarter with the champion of the first day."""
    predictor, days = Predictor.load(champion(scale, seed)), range(SETTINGS[scale].days)
    truth = [float(ious(predictor, day_pairs(day, scale, seed, scenario)).mean()) for day in days]
    return Story(NEVER, truth)


def oracle(scale: str, seed: int, scenario: str, folder: Path) -> Story:
    """The quarter with a translator that is trained on a whole set of pairs as soon as a phase begins."""
    setting, run, story = SETTINGS[scale], champion(scale, seed), Story(ORACLE)
    predictor = Predictor.load(run)
    for day in range(setting.days):
        if day in setting.changes:
            phase = SCENARIOS[scenario][PARTS.index(part_of(day, setting))]
            pairs = phase_pairs(phase, "oracle", setting.size, seed, setting.old)
            tuning = replace(ORACLE_TUNING, seed=day)
            fine_tune(run, pairs, None, tuning, out=folder / phase, progress=False)
            run = folder / phase
            predictor = Predictor.load(run)
        story.truth.append(float(ious(predictor, day_pairs(day, scale, seed, scenario)).mean()))
    return story


def run_scenario(seed: int, scale: str, scenario: str, arms: tuple[str, ...] = ARMS) -> Row:
    """The same quarter under every arm, from one champion; arms of "lost" are named so."""
    row: dict[str, dict[str, float]] = {}
    for arm in arms:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if arm == NEVER:
                story = never(scale, seed, scenario)
            elif arm == ORACLE:
                story = oracle(scale, seed, scenario, folder)
            else:
                site = Bench(scale, seed, folder, scenario)
                story = run_quarter(site, arm, scale, seed, folder, scenario)
        row[named(arm, scenario)] = summary(story, SETTINGS[scale])
    return row


def named(arm: str, scenario: str) -> str:
    """Name of an arm in the table."""
    return arm if scenario == KEPT else f"{arm}, information lost"


def summary(story: Story, setting: QuarterSetting) -> dict[str, float]:
    """Mean IoU of the quarter, of its parts, and of the last days of each; and what was done.

    "retired, PART" counts retirements; "false alarms" the decisions before the first change that were about
    no change and no bad version.
    """
    parts = [part_of(day, setting) for day in range(setting.days)]
    of = {p: [v for v, q in zip(story.truth, parts, strict=True) if q == p] for p in PARTS}
    counted = [(note, parts[note.day]) for note in story.notes]
    actions = [note.action for note in story.notes]
    verdicts = [start.verdict for start in story.starts]
    return {
        "quarter": float(np.mean(story.truth)),
        **{part: float(np.mean(values)) for part, values in of.items()},
        **{f"{part}, end": float(np.mean(values[-setting.last :])) for part, values in of.items()},
        "trainings": float(len(verdicts)),
        "promotions": float(verdicts.count("promote")),
        "bad one refused": float(any(s.day == setting.slip and s.verdict != "promote" for s in story.starts)),
        "rolled back": float(actions.count(person.ROLL_BACK)),
        **{
            f"retired, {part}": float(sum(n.action == person.RETIRE and p == part for n, p in counted))
            for part in PARTS
        },
        "false alarms": float(sum(n.action != person.ROLL_BACK and p == "before" for n, p in counted)),
        "retired on day": float(
            next((n.day for n in story.notes if n.action == person.RETIRE), setting.days)
        ),
    }


def recovered(table: Table, part: str, scenario: str = KEPT, arm: str = ON_LABELS) -> list[float]:
    """Per seed, what an arm has back at the end of a part, as a share of what the oracle recovers.

    Both are gains over the champion that is never trained, in IoU of the last days of the part.
    """
    arms = [named(name, scenario) for name in (arm, NEVER, ORACLE)]
    rows = table.values(f"{part}, end", *arms)
    reached, lowest, best = (rows[name] for name in arms)
    return [(r - n) / (o - n) for r, n, o in zip(reached, lowest, best, strict=True)]


def _numbers(table: Table) -> dict[str, float]:
    return {f"{arm}: {name}": v for arm, found in table.means().items() for name, v in found.items()}


def policies_claim(table: Table) -> dict[str, Any]:
    """G38: mean IoU after the change that images show, and the means of every arm."""
    return {"data": table.values("images", ON_DRIFT, ON_LABELS), "numbers": _numbers(table)}


def recovery_claim(table: Table) -> dict[str, Any]:
    """G56: share of the oracle's recovery after the changes that keep the information."""
    shares = {
        f"share recovered, {part}, {scenario}": float(np.mean(recovered(table, part, scenario)))
        for part in PARTS[1:]
        for scenario in SCENARIOS
    }
    blind = float(np.mean(recovered(table, "relation", arm=ON_DRIFT)))
    data = {"images changed": recovered(table, "images"), "relation changed": recovered(table, "relation")}
    return {"data": data, "numbers": shares | {"share recovered on drift, relation": blind} | _numbers(table)}


SWEEP = Sweep(
    "quarter",
    {
        KEPT: partial(run_scenario, scenario=KEPT),
        LOST: partial(run_scenario, scenario=LOST, arms=(NEVER, ON_LABELS, ORACLE)),
    },
    SEEDS,
    lambda scale: [
        champion_recipe(scale, 0),
        SETTINGS[scale],
        {name: to_dict(conditions) for name, conditions in CONDITIONS.items()},
        *(TRIGGER, RULE, TUNING, SLIP, HABITS, GATE, MONITOR),
        *(ORACLE_TUNING, GAIN, SCENARIOS, MORE),
    ],
    {"G38": policies_claim, "G56": recovery_claim},
)
