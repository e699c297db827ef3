"""Lesson 06: the learning rate that goes to zero in the second half."""

import math

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

ex = Exercise(
    id="decayed_rate",
    lesson="06",
    title="A rate that ends at zero",
    difficulty=1,
    minutes=6,
    spec="""
    The learning rate is `base` for the first half of the run. From `total / 2` on (not rounded) it follows a
    straight line that reaches 0 exactly at `total`, and stays there. `step` counts the optimiser steps
    already taken: the first step of the run asks for `step = 0`, the last one for `total - 1`, so no step is
    wasted on a rate of 0.
    """,
    hints=(
        "Two cases. In the second one, how much of the decay is left is a fraction from 1 down to 0.",
        "What is left is `(total - step) / (total - total / 2)`: 1 at half time, 0 at the end.",
        "Beyond the end the fraction is negative: `max(0.0, ...)`. And do not forget to multiply by `base`.",
    ),
    source="gantrans.training.lr.linear_decay; the usual code (pix2pix, CycleGAN) ends at 1 / (n + 1) "
    "instead.",
    equivalent={
        "`step < half` -> `step <= half`": "at half time the line gives the base rate, too",
        "-> `max((total - step)": "a maximum does not care about the order",
    },
)


@ex.reference
def decayed_rate(base: float, step: int, total: int) -> float:
    """Base rate, steps already taken (>= 0), steps of the whole run (>= 1) -> rate of the next step."""
    half = total / 2
    if step < half:
        return base
    return base * max(0.0, (total - step) / (total - half))


@ex.edges
def _() -> list[Args]:
    steps = [(s, 10) for s in (0, 4, 5, 6, 9, 10, 12)] + [(s, 7) for s in (2, 3, 4, 6, 7, 50)]
    return [(0.5, *pair) for pair in [*steps, (0, 1), (1, 1), (0, 2), (1, 2), (3, 2)]]


@ex.inputs
def _(case: Case) -> Args:
    total = case.integer(2, 400)
    return case.choice((2e-4, 1e-3, 0.1, 2.0)), case.integer(0, total + total // 8), total


def _line(step: float, total: int, start: float, end: float, low: float = 0.0) -> float:
    """1 until `start`, straight to 0 at `end`, at least `low`."""
    return 1.0 if step < start else max(low, (end - step) / max(end - start, 1e-12))


ex.wrong(
    "usual_formula",
    "You divide by n + 1 for n steps of decay, as much GAN code does: the last step still runs at 1 / (n "
    "+ 1), and the line never arrives.",
    lambda base, step, total: base * _line(step, total, total / 2, total + 1),
)
ex.wrong(
    "early_zero",
    "You reach 0 at step total - 1: the last step of the run would change nothing.",
    lambda base, step, total: base * _line(step, total, total / 2, total - 1),
)
ex.wrong(
    "from_the_start",
    "You decay from the first step on; the first half keeps the base rate.",
    lambda base, step, total: base * max(0.0, 1 - step / total),
)
ex.wrong(
    "jump",
    "You use 1 - step / total in the second half: at half time the rate would fall to a half at once.",
    lambda base, step, total: base * (1.0 if step < total / 2 else max(0.0, 1 - step / total)),
)
ex.wrong(
    "negative",
    "You let the rate go below 0 after the end: a run that goes on would climb the loss.",
    lambda base, step, total: base * _line(step, total, total / 2, total, low=-math.inf),
)
ex.wrong(
    "rounded_half",
    "You round half of an odd `total` down: the decay starts half a step early.",
    lambda base, step, total: base * _line(step, total, total // 2, total),
)
ex.wrong(
    "factor",
    "You return the factor; the rate is `base` times it.",
    lambda base, step, total: _line(step, total, total / 2, total),
)
ex.wrong(
    "one_based",
    "You count from 1: `step` is the number of steps taken before this one.",
    lambda base, step, total: base * _line(step + 1, total, total / 2, total),
)
ex.wrong(
    "half_cosine",
    "You follow a cosine in the second half; a straight line was asked for.",
    lambda base, step, total: base * (1 + math.cos(math.pi * (1 - _line(step, total, total / 2, total)))) / 2,
)
ex.wrong(
    "constant",
    "You never lower the rate: a flag that is read and not used.",
    lambda base, step, total: base,
)
ex.wrong(
    "warm_up",
    "You go up in the second half: that is what is done of the decay, not what is left.",
    lambda base, step, total: (
        base * (1.0 if step < total / 2 else min(1.0, 1 - _line(step, total, total / 2, total)))
    ),
)
ex.wrong(
    "steps",
    "You halve the rate at half time and stop there; a line down to 0 was asked for.",
    lambda base, step, total: base * (1.0 if step < total / 2 else 0.5 if step < total else 0.0),
)


ex.right(lambda base, step, total: base * min(1.0, max(0.0, 2 - 2 * step / total)))
ex.right(lambda base, step, total: base * _line(step, total, total / 2, total))
ex.right(lambda base, step, total: base * max(0, min(total, 2 * (total - step))) / total)
ex.right(lambda base, step, total: sorted((0.0, 2 * base * (1 - step / total), base))[1])


@ex.right
def _(base: float, step: int, total: int) -> float:
    if step >= total:
        return 0.0
    decay = total - total / 2  # steps of decay
    done = max(0.0, step - total / 2)
    return base - base * done / decay


ex.wrong(
    "half_slope",
    "You let the line fall half as fast: at the end half of the rate is left.",
    lambda base, step, total: base * _line(step, total, total / 2, 1.5 * total) if step < total else 0.0,
)
ex.wrong(
    "half_slope_for_ever",
    "You divide what is done of the decay by the whole run: at `total` half of the rate is left.",
    lambda base, step, total: base * _line(step, total, total / 2, 1.5 * total),
)
ex.wrong(
    "early_by_half",
    "You come down twice as fast: the rate is 0 after three quarters of the run.",
    lambda base, step, total: base * _line(step, total, total / 2, 0.75 * total),
)
ex.wrong(
    "usual_formula_negative",
    "You divide by n + 1 for n steps of decay, and let the rate go below 0 after the end.",
    lambda base, step, total: base * _line(step, total, total / 2, total + 1, low=-math.inf),
)
ex.wrong(
    "from_the_start_negative",
    "You decay from the first step on, and let the rate go below 0 after the end.",
    lambda base, step, total: base * (1 - step / total),
)
ex.wrong(
    "half_rounded_up",
    "You round half of an odd `total` up: the decay starts half a step late.",
    lambda base, step, total: base * _line(step, total, (total + 1) // 2, total),
)
ex.wrong(
    "squared",
    "You square what is left; a straight line was asked for.",
    lambda base, step, total: base * _line(step, total, total / 2, total) ** 2,
)
ex.wrong(
    "exponential",
    "You let the rate shrink by equal factors; a straight line was asked for, and it ends at 0.",
    lambda base, step, total: base * (1.0 if step < total / 2 else 0.5 ** (step - total / 2)),
)
ex.wrong(
    "back_to_base",
    "You return the base rate again after the end; it stays 0.",
    lambda base, step, total: base * (1.0 if step > total else _line(step, total, total / 2, total)),
)
ex.wrong(
    "never_quite_zero",
    "You keep a small rate at the end; it is 0 from `total` on.",
    lambda base, step, total: base * _line(step, total, total / 2, total, low=0.01),
)
common_slips(ex, "returned_nothing")

ex.breach("The learning rate is `base`", "from_the_start")
ex.breach("The learning rate is `base`", "factor")
ex.breach("not rounded", "rounded_half")
ex.breach("a straight line", "half_cosine")
ex.breach("reaches 0 exactly at `total`", "usual_formula")
ex.breach("and stays there", "negative")
ex.breach("and stays there", "back_to_base")
ex.breach("`step` counts the optimiser steps", "one_based")
ex.breach("the last one for `total - 1`", "early_zero")
