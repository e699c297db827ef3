"""Lesson 03: at which timesteps a sampler asks the network."""

import math

import numpy as np

from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import BugHunt

ex = BugHunt(
    id="sampling_times",
    lesson="03",
    title="Where a few steps stand",
    difficulty=2,
    minutes=8,
    spec=r"""
    A network was trained on $T$ = `steps` timesteps, 0 to $T - 1$, and a sampler shall ask it at only `count`
    of them. Return these times as a list of whole numbers, falling. Sampling starts from pure noise, so the
    first time is the noisiest of all, $T - 1$. From one time to the next, each step covers the same number of
    timesteps, $T$ divided by `count`. So does the last step, from the last time to the clean image, which
    counts as time $-1$. Where `count` does not divide $T$, work out the exact times first, then round each
    to the nearest whole number. The code below runs, and has one slip. Find it and mend it.
    """,
    hints=(
        "Work out the times for T = 8 and count = 2 by hand, from the text alone; then call the code.",
        "Cut the T timesteps into `count` blocks of equal length. Which timestep of a block does the code "
        "take, and which one should it be?",
        "A block is left at its top: block i of 0, 1, ... ends where the next begins, at (i + 1) T / count, "
        "and its last timestep is one less.",
    ),
    source="Lin et al. 2023, table 2 (“trailing”; the slip is “leading”, the default of diffusers).",
    slip="The code takes the first timestep of every block, and the noisy end of a block is its last one. "
    "So the network was handed pure noise at a time where it had seen images with less noise.",
    slip_code="[round(i * steps / count) for i in reversed(range(count))]",
)


@ex.reference
def sampling_times(steps: int, count: int) -> list[int]:
    """T = `steps` of training and 1 <= count <= T -> `count` falling times, the first is T - 1."""
    return [round((i + 1) * steps / count) - 1 for i in reversed(range(count))]


@ex.bug
def _(steps: int, count: int) -> list[int]:
    """T = `steps` of training and 1 <= count <= T -> `count` falling times, the first is T - 1."""
    times = [round(i * steps / count) for i in reversed(range(count))]
    return times


@ex.symptom
def _(answer: Answer) -> str:
    few, two = answer(1000, 10), answer(1000, 2)
    return (
        f"of 1000 timesteps, 10 evaluations are made at {few[0]}, {few[1]}, ..., {few[-1]}, and 2 at "
        f"{two[0]} and {two[1]}. So the pure noise of the start is taken for an x_t of time {few[0]}, or "
        f"even of {two[0]}, where part of the image is still there."
    )


def _tie(steps: int, count: int) -> bool:
    """Whether an exact time lies halfway between two whole numbers: there people round differently."""
    return any((2 * i * steps) % (2 * count) == count for i in range(count))


@ex.edges
def _() -> list[Args]:
    return [
        (8, 2),
        (10, 3),
        (10, 10),
        (10, 1),
        (1, 1),
        (2, 2),
        (7, 5),
        (11, 9),
        (1000, 1),
        (1000, 2),
        (1000, 7),
        (1000, 10),
        (1000, 50),
        (1000, 999),
        (1000, 1000),
        (1000, 24),
        (997, 99),
        (100, 75),
    ]


@ex.inputs
def _(case: Case) -> Args:
    steps = case.integer(20, 1200)
    count = case.integer(2, min(steps, 60))
    while _tie(steps, count):
        count += 1
    return steps, count


def _blocks(steps: int, count: int) -> list[float]:
    """The exact times, before rounding."""
    return [(i + 1) * steps / count - 1 for i in reversed(range(count))]


def _rounded(times: list[float]) -> list[int]:
    return [round(time) for time in times]


def _linspace(steps: int, count: int) -> list[int]:
    return [round(time) for time in np.linspace(steps - 1, 0, count).tolist()]


def _quadratic(steps: int, count: int) -> list[int]:
    return [round(steps * ((i + 1) / count) ** 2) - 1 for i in reversed(range(count))]


for name, misconception, answer in (
    (
        "still_there",
        "You still take the first timestep of every block: the network gets pure noise at a time where it "
        "was trained on images with less noise.",
        lambda steps, count: sorted((round(i * steps / count) for i in range(count)), reverse=True),
    ),
    (
        "off_by_one",
        "You shift the old times by one. That is the `steps_offset` of older samplers; the first time has "
        "to be T - 1.",
        lambda steps, count: [round(i * steps / count) + 1 for i in reversed(range(count))],
    ),
    (
        "first_replaced",
        "You replace only the first time: the first step then covers more timesteps than the others.",
        lambda steps, count: [
            steps - 1,
            *[round(i * steps / count) for i in reversed(range(count))][1:],
        ],
    ),
    (
        "down_to_0",
        "You spread the times from T - 1 to 0: then the last step covers a single timestep, and the others "
        "cover too many.",
        _linspace,
    ),
    (
        "before_counting_from_0",
        "You forget that times count from 0: your first time is T, which the schedule does not have.",
        lambda steps, count: [round((i + 1) * steps / count) for i in reversed(range(count))],
    ),
    (
        "cut_off",
        "You only cut off what lies beyond T - 1: all other times stand one too high.",
        lambda steps, count: [min(steps - 1, round((i + 1) * steps / count)) for i in reversed(range(count))],
    ),
    (
        "rising",
        "You return the times rising; sampling begins with the noisiest.",
        lambda steps, count: _rounded(_blocks(steps, count))[::-1],
    ),
    (
        "whole_stride",
        "You round the length of a block first. What that loses adds up, and the last step is longer than "
        "all others.",
        lambda steps, count: [steps - 1 - i * (steps // count) for i in range(count)],
    ),
    (
        "rounded_stride",
        "You round the length of a block first: times may even fall below 0. Round each time instead.",
        lambda steps, count: [steps - 1 - i * round(steps / count) for i in range(count)],
    ),
    (
        "by_a_range",
        "You step with `range`: where `count` does not divide T, that gives too many times.",
        lambda steps, count: list(range(steps - 1, -1, -(steps // count))),
    ),
    (
        "rounded_down",
        "You round down; the nearest whole number is wanted.",
        lambda steps, count: [math.floor(time) for time in _blocks(steps, count)],
    ),
    (
        "rounded_up",
        "You round up; the nearest whole number is wanted.",
        lambda steps, count: [math.ceil(time) for time in _blocks(steps, count)],
    ),
    (
        "floats",
        "You return floats; times are whole numbers, with which alpha-bars are looked up.",
        lambda steps, count: [float(round(time)) for time in _blocks(steps, count)],
    ),
    (
        "not_rounded",
        "You do not round, so that times fall between two timesteps.",
        _blocks,
    ),
    (
        "image_too",
        "You add the clean image as a time: the network is not asked there, and there are `count` + 1.",
        lambda steps, count: [*_rounded(_blocks(steps, count)), -1],
    ),
    (
        "one_too_many",
        "You give one time too many: with both ends of a range, `count` blocks have `count` + 1 borders.",
        lambda steps, count: [max(0, round(i * steps / count) - 1) for i in reversed(range(count + 1))],
    ),
    (
        "one_too_few",
        "You lose the last time; `count` evaluations are wanted.",
        lambda steps, count: _rounded(_blocks(steps, count))[:-1],
    ),
    (
        "middles",
        "You take the middle of every block: the first time is not T - 1.",
        lambda steps, count: [math.floor((i + 0.5) * steps / count) for i in reversed(range(count))],
    ),
    (
        "quadratic",
        "You crowd the times at the clean end; all steps should cover equally many timesteps.",
        _quadratic,
    ),
    (
        "every_time",
        "You return all timesteps; only `count` of them are wanted.",
        lambda steps, count: list(reversed(range(steps))),
    ),
    (
        "top_ones",
        "You take the `count` noisiest times, one beside the other: the last step would cover all the rest.",
        lambda steps, count: list(range(steps - 1, steps - 1 - count, -1)),
    ),
):
    ex.wrong(name, misconception, answer)


@ex.right
def _(steps: int, count: int) -> list[int]:
    """Mended elsewhere: what the old times lack is made up for at the end."""
    times = [round(i * steps / count) for i in reversed(range(count))]
    return [steps - 1 - time for time in reversed(times)]


@ex.right
def _(steps: int, count: int) -> list[int]:
    return [round(i * steps / count) - 1 for i in range(count, 0, -1)]


@ex.right
def _(steps: int, count: int) -> list[int]:
    times: list[int] = []
    place = float(steps)
    for _ in range(count):
        times.append(int(place - 1 + 0.5))
        place -= steps / count
    return times


@ex.right
def _(steps: int, count: int) -> list[int]:
    # whole numbers all the way: the nearest one is half a unit up, rounded down
    return [(2 * i * steps + count) // (2 * count) - 1 for i in range(1, count + 1)][::-1]


@ex.right
def _(steps: int, count: int) -> list[int]:
    import torch

    ends = torch.arange(count, 0, -1, dtype=torch.float64) * steps / count
    made: list[int] = (ends.round().long() - 1).tolist()
    return made


@ex.right
def _(steps: int, count: int) -> list[int]:
    from fractions import Fraction

    return sorted((round(Fraction((i + 1) * steps, count)) - 1 for i in range(count)), reverse=True)


ex.right(lambda steps, count: np.rint(np.linspace(steps - 1, steps / count - 1, count)).astype(int).tolist())
ex.right(lambda steps, count: np.round(np.arange(steps, 1e-6, -steps / count)).astype(np.int64) - 1)
ex.right(lambda steps, count: tuple(round(steps - 1 - i * (steps / count)) for i in range(count)))

ex.breach("a sampler shall ask it at only `count` of them", "every_time")
ex.breach("a sampler shall ask it at only `count` of them", "image_too")
ex.breach("Return these times as a list of whole numbers", "floats")
ex.breach("Return these times as a list of whole numbers", "not_rounded")
ex.breach("whole numbers, falling", "rising")
ex.breach("the first time is the noisiest of all", "still_there")
ex.breach("the first time is the noisiest of all", "middles")
ex.breach("each step covers the same number of timesteps", "quadratic")
ex.breach("each step covers the same number of timesteps", "first_replaced")
ex.breach("So does the last step", "down_to_0")
ex.breach("which counts as time $-1$", "cut_off")
ex.breach("Where `count` does not divide $T$", "whole_stride")
ex.breach("round each to the nearest whole number", "rounded_down")
ex.background("The code below runs", "Find it and mend it")
