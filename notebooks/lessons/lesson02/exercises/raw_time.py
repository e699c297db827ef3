"""Lesson 02: the time as one number, and of which size."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import BugHunt

ex = BugHunt(
    id="raw_time",
    lesson="02",
    title="The time as one number",
    difficulty=1,
    minutes=6,
    spec=r"""
    Turn every timestep into one number, its share $t/T$ of the way: 0 at the first timestep, and nearly 1 at
    the last. `t` is `(B,)`, whole or not, of any type, and $T$ is `steps`. Return `(B, 1)` float32, a row for
    each timestep, on the device of `t`, and leave `t` as it is. A way of less than one step raises a
    `ValueError`. The code below runs, and has one slip. Find it and mend it.
    """,
    hints=(
        "Print what comes out for `t = torch.arange(1000)` and T = 1000. Of which size are the inputs of a "
        "network usually?",
        "`steps` is there for more than the error.",
        "`share = t.float() / steps`",
    ),
    source="Karras et al. 2022 (EDM), sec. 5: inputs of a network should have about unit variance.",
    slip="The number has to be scaled: a network is made for inputs of about the size 1. With numbers up to "
    "999, scale and shift of every block begin hundreds of times too large.",
    slip_code="share = t.float()",
)


@ex.reference
def raw_time(t: Tensor, steps: int) -> Tensor:
    """Timesteps (B,), whole or not, and T = `steps` -> (B, 1) float32, the share of the way."""
    if steps < 1:
        raise ValueError(f"a way has at least one step, not {steps}")
    return (t.float() / steps).unsqueeze(1)


@ex.bug
def _(t: Tensor, steps: int) -> Tensor:
    """Timesteps (B,), whole or not, and T = `steps` -> (B, 1) float32, the share of the way."""
    if steps < 1:
        raise ValueError(f"a way has at least one step, not {steps}")
    share = t.float()  # layers take float32, not whole numbers
    return share.unsqueeze(1)


@ex.symptom
def _(answer: Answer) -> str:
    first, last = answer(torch.tensor([0, 999]), 1000).flatten().tolist()
    return f"for T = 1000 the first and the last timestep become {first:g} and {last:g}."


@ex.edges
def _() -> list[Args]:
    t = torch.tensor([0, 1, 2])
    return [
        (torch.tensor([0, 250, 999]), 1000),
        (t, 3),
        (t, 4),
        (torch.tensor([0]), 1),
        (torch.tensor([7]), 10),
        (torch.tensor([49, 0, 20]), 50),
        (torch.tensor([0.5, 3.25], dtype=torch.float64), 8),
        (torch.tensor([0.25, 1.5, 2.0]), 4),
        (torch.tensor([3, 250, 9, 7], dtype=torch.uint8)[::2], 256),
        (torch.tensor([5, 1], dtype=torch.int32), 6),
        (torch.tensor([0.3, 11.7], dtype=torch.float16), 20),
        (t, 0),
        (t, -5),
    ]


@ex.inputs
def _(case: Case) -> Args:
    steps = case.choice((10, 50, 100, 1000))
    t = steps * case.rand(case.batch)
    return t.long() if case.seed % 3 else t, steps


def _guarded(answer: Answer) -> Answer:
    def guarded(t: Tensor, steps: int) -> Tensor:
        if steps < 1:
            raise ValueError
        made: Tensor = answer(t, steps)
        return made

    return guarded


for name, misconception, answer in (
    (
        "still_unscaled",
        "You still give t itself, up to T - 1: far too large for the input of a network.",
        lambda t, steps: t.to(torch.float32).view(-1, 1),
    ),
    (
        "thousand",
        "You have 1000 written into the function and do not use `steps`.",
        lambda t, steps: (t.float() / 1000)[:, None],
    ),
    (
        "whole_division",
        "You divide without the rest (`//`): every timestep becomes 0, as if there were no time.",
        lambda t, steps: (t // steps).float()[:, None],
    ),
    (
        "by_the_last",
        "You divide by T - 1; the share is t / T, so the last timestep stays a little below 1.",
        lambda t, steps: (t.float() / max(steps - 1, 1))[:, None],
    ),
    (
        "by_the_largest",
        "You divide by the largest timestep of the batch: the same t then gives another number in another "
        "batch.",
        lambda t, steps: (t.float() / t.float().max().clamp(min=1e-6))[:, None],
    ),
    (
        "standardised",
        "You subtract the mean of the batch and divide by its spread: the same t then gives another number "
        "in another batch.",
        lambda t, steps: ((t.float() - t.float().mean()) / (t.float().std(correction=0) + 1e-6))[:, None],
    ),
    (
        "turned_round",
        "You count from the end, 1 - t / T; the first timestep is to become 0.",
        lambda t, steps: (1 - t.float() / steps)[:, None],
    ),
    (
        "from_minus_one",
        "You stretch the share to run from -1 to 1; it runs from 0 to 1.",
        lambda t, steps: (2 * t.float() / steps - 1)[:, None],
    ),
    (
        "counted_from_one",
        "You count timesteps from 1; the first is 0 here, and its share too.",
        lambda t, steps: ((t.float() + 1) / steps)[:, None],
    ),
    (
        "multiplied",
        "You multiply by T instead of dividing: the numbers grow even larger.",
        lambda t, steps: (t.float() * steps)[:, None],
    ),
    (
        "per_cent",
        "You give per cent, up to 100; the share runs from 0 to 1.",
        lambda t, steps: (100 * t.float() / steps)[:, None],
    ),
    (
        "squashed",
        "You squash t with a sigmoid: all but the first timesteps become 1, and look alike.",
        lambda t, steps: t.float().sigmoid()[:, None],
    ),
    (
        "whole_steps",
        "You cut t to a whole number; samplers may stop between two timesteps.",
        lambda t, steps: (t.long() / steps)[:, None],
    ),
    ("no_axis", "You return (B,); a linear layer needs a row for each sample, (B, 1).",
     lambda t, steps: t.float() / steps),
    ("turned_over", "You return (1, B); every timestep is a row.",
     lambda t, steps: (t.float() / steps)[None]),
    (
        "first_time_for_all",
        "You use the first timestep for the whole batch; every sample has its own.",
        lambda t, steps: (t[:1].float() / steps).expand(len(t), 1),
    ),
    (
        "float64",
        "You return float64: the weights of the network are float32 and refuse it.",
        lambda t, steps: (t.double() / steps)[:, None],
    ),
    (
        "type_of_t",
        "You let the type of t decide: float64 timesteps then give float64.",
        lambda t, steps: (t / steps)[:, None],
    ),
    (
        "in_place",
        "You divide in place: where `t` is float32 already, `t.float()` is `t` itself, and you change it.",
        lambda t, steps: t.float().div_(steps)[:, None],
    ),
):  # fmt: skip
    ex.wrong(name, misconception, _guarded(answer))


@ex.wrong("not_refused", "You let a way of no steps pass: the division gives infinite or negative shares.")
def _(t: Tensor, steps: int) -> Tensor:
    return (t.float() / (steps or 1e-9))[:, None]


@ex.right
def _(t: Tensor, steps: int) -> Tensor:
    """Mended elsewhere: the slip's line stays, and the result is divided."""
    if steps < 1:
        raise ValueError(f"a way has at least one step, not {steps}")
    share = t.float()
    return share.unsqueeze(1) / steps


@ex.right
def _(t: Tensor, steps: int) -> Tensor:
    if not steps >= 1:
        raise ValueError(steps)
    return torch.stack([one.to(torch.float32) / steps for one in t]).reshape(len(t), 1)


ex.right(_guarded(lambda t, steps: t.to(torch.float32).mul(1 / steps)[:, None]))
ex.right(_guarded(lambda t, steps: (t.double() / steps).float().view(-1, 1)))
ex.right(_guarded(lambda t, steps: torch.true_divide(t.type(torch.float), steps)[..., None]))

ex.breach("Turn every timestep into one number", "first_time_for_all")
ex.breach("its share $t/T$ of the way", "still_unscaled")
ex.breach("its share $t/T$ of the way", "thousand")
ex.breach("its share $t/T$ of the way", "by_the_largest")
ex.breach("0 at the first timestep", "turned_round")
ex.breach("nearly 1 at the last", "by_the_last")
ex.breach("whole or not", "whole_steps")
ex.breach("of any type", "type_of_t")
ex.breach("Return `(B, 1)`", "no_axis")
ex.breach("float32", "float64")
ex.breach("a row for each timestep", "turned_over")
ex.breach(
    "on the device of `t`",
    _guarded(lambda t, steps: (t.float() / torch.full((len(t),), float(steps)))[:, None]),
)
ex.breach("leave `t` as it is", "in_place")
ex.breach("A way of less than one step", "not_refused")
ex.background("The code below runs", "Find it and mend it")
