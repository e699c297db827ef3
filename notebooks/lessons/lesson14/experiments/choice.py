"""Lesson 14, claims G20 and G70 to G76: L1, GAN, diffusion and transformer on one task, in both directions.

SEM -> layout is judged against the drawing; layout -> SEM by spectrum and spread, and by the geometry that
Otsu's threshold reads back from the made image, beside what it reads from a real one.
"""

import math
import time
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Tensor

from gantrans.data import LayoutConfig, context_px, procedural_layouts, simulate
from gantrans.data.imaging import PRESETS
from gantrans.data.streams import stream_seeds
from gantrans.images import unit_from_uint8
from gantrans.metrics import epe, iou
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Row, Table
from gantrans.translation.answers import widening
from gantrans.translation.baselines import segment
from gantrans.translation.inference import draw
from lessons.lesson05.experiments.patches import PIXEL_NM, spectrum_distance
from lessons.lesson14.exercises.ensemble_interval import ensemble_interval
from lessons.lesson14.experiments.contenders import (
    BUDGETS,
    DIFFICULTY,
    DIRECTIONS,
    METHODS,
    PAIRS,
    SECONDS,
    SETTINGS,
    STEPS,
    Contender,
    arm_name,
    configured,
    held_out,
    pairs_of,
    pool,
    setting_name,
    train,
)

EVALUATIONS = (1, 4, 20)
LEVEL = 0.9
READER = "median5_otsu"
VARIED = ("GAN", "diffusion")
"""Methods whose draws can differ."""


def answers(generator: Any, method: str, given: Tensor, count: int, steps: int | None = None) -> Tensor:
    """(count, N, 1, S, S) in [0, 1]; one answer of a method whose answers cannot differ."""
    rounds = count if method in VARIED else 1
    return torch.stack([draw(generator, given, seed=seed, steps=steps) for seed in range(rounds)])


def latency(generator: Any, given: Tensor, steps: int | None = None, repeats: int = 3) -> float:
    """Core-milliseconds of one answer to one image, the median of some repeats."""
    taken = []
    for _ in range(repeats + 1):
        began = time.process_time()
        draw(generator, given, steps=steps)
        taken.append(1000 * (time.process_time() - began) / len(given))
    return median(taken[1:])


def timings(generator: Any, method: str, given: Tensor) -> dict[str, float]:
    """Milliseconds by number of evaluations; a method of one pass has the same for all."""
    few = given[:16]
    if method == "diffusion":
        return {f"ms, {steps}": latency(generator, few, steps) for steps in EVALUATIONS}
    return dict.fromkeys((f"ms, {steps}" for steps in EVALUATIONS), latency(generator, few))


def judge_layouts(
    generator: Any, method: str, given: Tensor, wanted: Tensor, count: int, judged: int | None = None
) -> dict[str, float]:
    """SEM -> layout.

    Args:
        judged: number of pairs, the first ones, on which all but the intervals are judged; None: all.

    Returns:
        IoU, EPE (nm): of the mean of the answers. IoU, one; IoU, 1 and so on: of one answer, of one with so
        many evaluations. coverage and the widths: of the intervals of the drawn area, see `intervals`.
        apart: mean standard deviation of a pixel.
    """
    every = answers(generator, method, given, count)
    areas, drawn = ((x > 0.5).double().mean((-1, -2, -3)) for x in (every, wanted))
    many, given, wanted = every[:, :judged], given[:judged], wanted[:judged]
    mean, one = many.mean(0), many[0]
    numbers = {
        "IoU": float(iou(mean, wanted).mean()),
        "IoU, one": float(iou(one, wanted).mean()),
        "EPE": float(epe(mean, wanted, PIXEL_NM).mean.nanmean()),
    }
    for steps in EVALUATIONS:
        few = draw(generator, given, steps=steps) if method == "diffusion" else one
        numbers[f"IoU, {steps}"] = float(iou(few, wanted).mean())
    if method in VARIED:
        numbers |= intervals(areas, drawn)
        numbers["apart"] = float(many.std(0).mean())
    return numbers


def intervals(areas: Tensor, truth: Tensor) -> dict[str, float]:
    """How right and how wide the intervals of a number are, as drawn and widened by known inputs.

    Each half of the inputs widens the intervals of the other. `width, plain` is that of an interval of one
    width for all inputs around the mean of the answers, made right by the same inputs: what intervals are
    worth that do not know where the model is unsure.

    Args:
        areas: (K, N), answers to N inputs. truth: (N,).
    """
    low, high, coverage = ensemble_interval(areas, truth, LEVEL)
    middle = areas.mean(0)
    halves = torch.arange(len(truth)) % 2 == 0
    numbers = {"coverage": coverage, "width": float((high - low).mean())}
    for name, ends in (("widened", (low, high)), ("plain", (middle, middle))):
        inside, wide = torch.zeros(len(truth)), torch.zeros(len(truth)).to(truth)
        for judged in (halves, ~halves):
            known = ~judged
            more = widening(ends[0][known], ends[1][known], truth[known], LEVEL)
            bottom, top = ends[0][judged] - more, ends[1][judged] + more
            inside[judged] = ((bottom <= truth[judged]) & (truth[judged] <= top)).float()
            wide[judged] = (top - bottom).clamp(min=0)
        numbers |= {f"coverage, {name}": float(inside.mean()), f"width, {name}": float(wide.mean())}
    return numbers


def judge_images(
    generator: Any, method: str, given: Tensor, real: Tensor, another: Tensor
) -> dict[str, float]:
    """layout -> SEM.

    Returns:
        spectrum: error in dB. spread: difference of two draws over that of two real images (0 for one
        answer). read IoU, read EPE (nm): of the geometry that Otsu's threshold finds, against the layout.
    """
    two = answers(generator, method, given, 2)
    apart = float((two[0] - two[-1]).square().mean().sqrt() / (real - another).square().mean().sqrt())
    read = segment(two[0], READER)
    numbers = {
        "spectrum": spectrum_distance(two[0], real)[0],
        "spread": apart,
        "spread error": abs(math.log(max(apart, 1e-2))),
        "read IoU": float(iou(read, given).mean()),
        "read EPE": float(epe(read, given, PIXEL_NM).mean.nanmean()),
    }
    for steps in EVALUATIONS:
        few = draw(generator, given, steps=steps) if method == "diffusion" else two[0]
        numbers[f"spectrum, {steps}"] = spectrum_distance(few, real)[0]
    return numbers


def real_again(scale: str, seed: int) -> Tensor:
    """Another image of every held-out layout, of other roughness and noise: (N, 1, S, S) in [0, 1]."""
    setting = SETTINGS[scale]
    (stream,) = stream_seeds(seed, "pairs/procedural/test", [0])
    (noise,) = stream_seeds(seed, "lesson 14/again", [0])
    indices = range(setting.test_pairs)
    layouts = procedural_layouts(
        LayoutConfig(setting.size, PIXEL_NM), stream, indices, margin_px=context_px(PIXEL_NM)
    )
    return simulate(layouts, PRESETS[DIFFICULTY], noise, indices).sem.float()


def run_arm(contender: Contender, seed: int, scale: str) -> dict[str, float]:
    """Train and judge one contender: `seconds` are core-seconds of the training, `failed` is 1 or 0."""
    pool(scale, seed)  # drawn before the clock starts
    began = time.process_time()
    run = train(contender, seed, scale)
    seconds = time.process_time() - began
    data = held_out(scale, seed)
    sem, layout = (unit_from_uint8(x)[: pairs_of(contender, scale)] for x in (data.sem, data.layout))
    setting = SETTINGS[scale]
    if contender.direction == "sem2layout":
        numbers = judge_layouts(
            run.generator, contender.method, sem, layout, setting.answers, setting.test_pairs
        )
        failed = numbers["IoU, one"] < 0.1
    else:
        another = real_again(scale, seed)
        numbers = judge_images(run.generator, contender.method, layout, sem, another)
        failed = not numbers["spectrum"] < 20
    given = sem if contender.direction == "sem2layout" else layout
    times = timings(run.generator, contender.method, given)
    return {**numbers, **times, "seconds": seconds, "failed": float(failed)}


def run_seed(seed: int, scale: str, direction: str, pairs: int, budget: str) -> Row:
    """The four methods in one setting with one seed: {arm: {quantity: value}}."""
    every = [Contender(method, direction, pairs, budget) for method in METHODS]
    return {one.arm: run_arm(one, seed, scale) for one in every}


def config(scale: str) -> Any:
    """What decides the numbers: sizes, tasks and trainings of every contender."""
    every = [
        Contender(method, direction, pairs, budget)
        for direction in DIRECTIONS for pairs in PAIRS for budget in BUDGETS for method in METHODS
    ]  # fmt: skip
    return [
        SETTINGS[scale],
        DIFFICULTY,
        [configured(one, scale) for one in every],
        EVALUATIONS,
        LEVEL,
        READER,
    ]


# ---- what the table decides


def of(table: Table, method: str, quantity: str, direction: str, pairs: int, budget: str) -> list[float]:
    """One value per seed."""
    arm = arm_name(method, direction, pairs, budget)
    return table.values(quantity, arm)[arm]


def numbers(table: Table) -> dict[str, float]:
    """For the text: the mean of every arm and quantity."""
    return {f"{arm}: {quantity}": v for arm, row in table.means().items() for quantity, v in row.items()}


def _both(table: Table, methods: tuple[str, str], *where: Any) -> dict[str, list[float]]:
    return {method: of(table, method, *where) for method in methods}


def gan_or_diffusion(table: Table) -> dict[str, Any]:
    """G20: IoU at equal seconds, with 50 and with 2,000 pairs."""
    parts = {
        f"{pairs} pairs": _both(table, ("GAN", "diffusion"), "IoU", "sem2layout", pairs, SECONDS)
        for pairs in (50, 2000)
    }
    return {"data": parts, "numbers": numbers(table)}


def hunger(table: Table) -> dict[str, Any]:
    """G70 and G76: the IoU that is lost from 2,000 pairs to 50, at equal seconds."""
    lost = {
        method: [
            many - few
            for many, few in zip(
                of(table, method, "IoU", "sem2layout", 2000, SECONDS),
                of(table, method, "IoU", "sem2layout", 50, SECONDS),
                strict=True,
            )
        ]
        for method in METHODS
    }
    return {"data": lost, "numbers": numbers(table)}


def _hungrier(first: str, second: str, table: Table) -> dict[str, Any]:
    every = hunger(table)
    return {"data": {arm: every["data"][arm] for arm in (first, second)}, "numbers": every["numbers"]}


def nearer(table: Table) -> dict[str, Any]:
    """G71: layout -> SEM with 2,000 pairs at equal seconds, spectrum and spread."""
    parts = {
        name: _both(table, ("diffusion", "GAN"), quantity, "layout2sem", 2000, SECONDS)
        for name, quantity in (("spectrum", "spectrum"), ("spread", "spread error"))
    }
    return {"data": parts, "numbers": numbers(table)}


def level_with_l1(table: Table) -> dict[str, Any]:
    """G72: mean answer minus L1, IoU at equal steps, 2,000 pairs."""
    both = _both(table, ("diffusion", "L1"), "IoU", "sem2layout", 2000, STEPS)
    gaps = [a - b for a, b in zip(both["diffusion"], both["L1"], strict=True)]
    return {"data": gaps, "numbers": numbers(table)}


def calibrated(table: Table) -> dict[str, Any]:
    """G73: coverage of the 90 % intervals minus 0.9, as drawn and widened, 2,000 pairs at equal seconds."""
    parts = {
        name: [value - LEVEL for value in of(table, "diffusion", quantity, "sem2layout", 2000, SECONDS)]
        for name, quantity in (("as drawn", "coverage"), ("widened", "coverage, widened"))
    }
    return {"data": parts, "numbers": numbers(table)}


def passes(table: Table) -> dict[str, Any]:
    """G74: time of the fewest evaluations within 0.01 of the IoU of 20, over a GAN's pass; one per seed."""
    where = ("sem2layout", 2000, SECONDS)
    quality = {steps: of(table, "diffusion", f"IoU, {steps}", *where) for steps in EVALUATIONS}
    cost = {steps: of(table, "diffusion", f"ms, {steps}", *where) for steps in EVALUATIONS}
    one_pass = of(table, "GAN", "ms, 1", *where)
    ratios = []
    for seed in range(len(one_pass)):
        enough = next(n for n in EVALUATIONS if quality[n][seed] >= quality[20][seed] - 0.01)
        ratios.append(cost[enough][seed] / one_pass[seed])
    return {"data": ratios, "numbers": numbers(table)}


def unstable(table: Table) -> dict[str, Any]:
    """G75: how far a seed lies from the median of its arm, 2,000 pairs at equal seconds."""

    def distances(method: str, quantity: str, direction: str) -> list[float]:
        values = of(table, method, quantity, direction, 2000, SECONDS)
        return [abs(value - median(values)) for value in values]

    parts = {
        name: {method: distances(method, quantity, direction) for method in ("GAN", "diffusion")}
        for name, quantity, direction in (
            ("SEM -> layout", "IoU", "sem2layout"),
            ("layout -> SEM", "spectrum", "layout2sem"),
        )
    }
    return {"data": parts, "numbers": numbers(table)}


SWEEP = Sweep(
    "choice",
    {
        setting_name(direction, pairs, budget): partial(
            run_seed, direction=direction, pairs=pairs, budget=budget
        )
        for direction in DIRECTIONS
        for pairs in PAIRS
        for budget in BUDGETS
    },
    {scale: setting.seeds for scale, setting in SETTINGS.items()},
    config,
    {
        "G20": gan_or_diffusion,
        "G70": partial(_hungrier, "diffusion", "GAN"),
        "G71": nearer,
        "G72": level_with_l1,
        "G73": calibrated,
        "G74": passes,
        "G75": unstable,
        "G76": partial(_hungrier, "transformer", "L1"),
    },
)
