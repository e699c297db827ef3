"""Lesson 01: a shorter way through the same noise."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import BugHunt

ex = BugHunt(
    id="thin_out",
    lesson="01",
    title="A shorter way to the same noise",
    difficulty=2,
    minutes=10,
    spec=r"""
    A way of $T$ steps shall be walked in $T/k$ steps, with $k$ = `every`: each new step does the work of $k$
    old ones. So the new way passes every k-th place of the old one: after its step $j = 1, 2, \ldots$ as much
    of the image is left as on the old way after $jk$ steps, and both ways end at the same place. `betas` are
    those of the old way, `(T,)` float64; return those of the new one, `(T/k,)` float64, and leave the old
    ones as they are. If $k$ does not divide $T$, a `ValueError` is raised. The code below runs, and has one
    slip. Find it and mend it.
    """,
    hints=(
        "Work out by hand what is left of the image after two steps with betas of 0.5, and then with k = 2.",
        "A beta says what share *one* step replaces. Which quantity says what is left after many steps?",
        "`alpha_bars = torch.cumprod(1 - betas, 0)[every - 1 :: every]` are the places to pass; a step's "
        "beta is 1 minus the ratio of its place to the one before, and the first place is compared with 1.",
    ),
    source="Song, Meng, Ermon 2021 (DDIM), sec. 4.2; Nichol, Dhariwal 2021, sec. 4 (betas of a subsequence).",
    slip="Betas belong to their number of steps: a beta kept is still the work of one old step. What can be "
    "thinned out is alpha-bar, the share that is left.",
    slip_code="betas[every - 1 :: every]",
    equivalent={
        "value.double()": "everything is float64 already",
        "value.detach()": "no gradient flows through a schedule",
        "dim=-1": "there is one axis only",
        "`len(betas)` -> `betas`": "what the error says is free",
    },
)


@ex.reference
def thin_out(betas: Tensor, every: int) -> Tensor:
    """betas (T,) float64 and k = `every` -> betas (T / k,) float64 of the way with T / k steps."""
    if len(betas) % every:
        raise ValueError(f"{every} does not divide {len(betas)} steps")
    places = torch.cumprod(1 - betas, dim=0)[every - 1 :: every]
    before = torch.cat([torch.ones_like(places[:1]), places[:-1]])
    return 1 - places / before


@ex.bug
def _(betas: Tensor, every: int) -> Tensor:
    """betas (T,) float64 and k = `every` -> betas (T / k,) float64 of the way with T / k steps."""
    if len(betas) % every:
        raise ValueError(f"{every} does not divide {len(betas)} steps")
    kept = betas[every - 1 :: every]  # the last of every k steps
    return kept


@ex.symptom
def _(answer: Answer) -> str:
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    long, short = (float(torch.prod(1 - b)) for b in (betas, answer(betas, 100)))
    return (
        f"for the linear schedule of 1000 steps and k = 100, the share of the image that is left at the end "
        f"(the product of all 1 - beta) is {long:.5f} on the long way and {short:.2f} on the short one."
    )


def _row(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@ex.edges
def _() -> list[Args]:
    paper = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    return [
        (_row(0.5, 0.5, 0.5, 0.5), 2),
        (_row(0.1, 0.2, 0.3, 0.4, 0.5, 0.6), 3),
        (_row(0.1, 0.2, 0.3, 0.4, 0.5, 0.6), 1),
        (_row(0.1, 0.2, 0.3, 0.4, 0.5, 0.6), 6),
        (_row(0.25), 1),
        (_row(0.3, 0.6, 0.9, 1.0), 2),  # nothing is left at the end
        (_row(0.0, 0.0, 0.5, 0.0), 2),  # steps that do nothing
        (_row(0.1, 0.2, 0.3), 2),
        (_row(0.1, 0.2, 0.3), 6),
        (paper, 100),
        (paper, 1000),
        (paper.flip(0), 20),
        (torch.full((8,), 0.999, dtype=torch.float64), 4),
        (torch.linspace(0.01, 0.7, 12, dtype=torch.float64)[::2], 3),  # not contiguous
    ]


@ex.inputs
def _(case: Case) -> Args:
    every = case.integer(1, 6)
    steps = every * case.integer(1, 12) + (1 if case.seed % 8 == 7 and every > 1 else 0)
    return 0.6 * torch.rand(steps, generator=case.generator, dtype=torch.float64) + 0.01, every


def _checked(betas: Tensor, every: int) -> None:
    if len(betas) % every:
        raise ValueError


def _bars(betas: Tensor) -> Tensor:
    return torch.cumprod(1 - betas, 0)


def _steps_between(places: Tensor) -> Tensor:
    return 1 - places / torch.cat([places.new_ones(1), places[:-1]])


def _guarded(answer: Answer) -> Answer:
    def guarded(betas: Tensor, every: int) -> Tensor:
        _checked(betas, every)
        made: Tensor = answer(betas, every)
        return made

    return guarded


for name, misconception, answer in (
    (
        "still_there",
        "You still pick betas of the old way: each new step does the work of one old step, so most of the "
        "image is left at the end.",
        lambda betas, every: betas.view(-1, every)[:, -1],
    ),
    (
        "first_of_each",
        "You pick the first beta of every k instead of the last: that is still the work of one old step.",
        lambda betas, every: betas[::every].clone(),
    ),
    (
        "times_k",
        "You multiply the betas you keep by k: shares multiply, they do not add, and a beta may pass 1.",
        lambda betas, every: every * betas[every - 1 :: every],
    ),
    (
        "summed",
        "You add up the betas of k steps: close for small betas, but what is left multiplies.",
        lambda betas, every: betas.reshape(-1, every).sum(1),
    ),
    (
        "averaged",
        "You average the betas of k steps: the new step then does the work of a single old one.",
        lambda betas, every: betas.reshape(-1, every).mean(1),
    ),
    (
        "largest",
        "You keep the largest beta of every k: still the work of one old step.",
        lambda betas, every: betas.reshape(-1, every).amax(1),
    ),
    (
        "alpha_bars",
        "You return alpha-bars; betas are wanted.",
        lambda betas, every: _bars(betas)[every - 1 :: every],
    ),
    (
        "alphas",
        "You return what each step keeps, alpha; beta is 1 - alpha.",
        lambda betas, every: 1 - _steps_between(_bars(betas)[every - 1 :: every]),
    ),
    (
        "from_the_start",
        "You compare every place with the start: 1 - alpha-bar is what the whole way so far has replaced, "
        "not one step.",
        lambda betas, every: 1 - _bars(betas)[every - 1 :: every],
    ),
    (
        "first_places",
        "You pass the first place of every k: the new way ends k - 1 steps too early.",
        lambda betas, every: _steps_between(_bars(betas)[::every]),
    ),
    (
        "no_first_step",
        "You lose the first step: the first place is compared with 1, the clean image.",
        lambda betas, every: _steps_between(_bars(betas)[every - 1 :: every])[1:],
    ),
    (
        "first_beta_kept",
        "You keep the old first beta for the first new step; that step too does the work of k.",
        lambda betas, every: torch.cat([betas[:1], _steps_between(_bars(betas)[every - 1 :: every])[1:]]),
    ),
    (
        "added_noise",
        "You subtract neighbouring alpha-bars; a beta is relative to what was left: 1 minus their ratio.",
        lambda betas, every: -_bars(betas)[every - 1 :: every].diff(prepend=betas.new_ones(1)),
    ),
    (
        "float32",
        "You compute in float32; schedules are float64.",
        lambda betas, every: _steps_between(_bars(betas.float())[every - 1 :: every]),
    ),
    (
        "capped",
        "You cap the betas at 0.999: where the old way ends in pure noise, yours does not.",
        lambda betas, every: _steps_between(_bars(betas)[every - 1 :: every]).clamp(max=0.999),
    ),
    (
        "sorted",
        "You sort the betas; the steps have an order.",
        lambda betas, every: _steps_between(_bars(betas.sort().values)[every - 1 :: every]),
    ),
):
    ex.wrong(name, misconception, _guarded(answer))


@ex.wrong("not_refused", "You let a k pass that does not divide T: the new way would end elsewhere.")
def _(betas: Tensor, every: int) -> Tensor:
    return _steps_between(_bars(betas)[every - 1 :: every])


@ex.wrong("in_place", "You change the betas that you were given.")
def _(betas: Tensor, every: int) -> Tensor:
    _checked(betas, every)
    new = _steps_between(_bars(betas)[every - 1 :: every])
    betas[: len(new)] = new
    return betas[: len(new)].clone()


ex.right(_guarded(lambda betas, every: 1 - (1 - betas).reshape(-1, every).prod(1)))
ex.right(_guarded(lambda betas, every: 1 - torch.log1p(-betas).reshape(-1, every).sum(1).exp()))


@ex.right
def _(betas: Tensor, every: int) -> Tensor:
    """Mended elsewhere: the betas are those of growing steps, and picking comes last."""
    if len(betas) % every:
        raise ValueError(f"{every} does not divide {len(betas)} steps")
    betas = 1 - (1 - betas).reshape(-1, every).cumprod(1).flatten()
    kept = betas[every - 1 :: every]
    return kept


@ex.right
def _(betas: Tensor, every: int) -> Tensor:
    if divmod(len(betas), every)[1] != 0:
        raise ValueError("k must divide T")
    made, left = [], 1.0
    for n, beta in enumerate(betas.tolist(), start=1):
        left *= 1 - beta
        if n % every == 0:
            made.append(1 - left)
            left = 1.0
    return torch.tensor(made, dtype=torch.float64)


@ex.right
def _(betas: Tensor, every: int) -> Tensor:
    import numpy as np

    if len(betas) % every:
        raise ValueError(every)
    places = np.append(1.0, np.cumprod(1 - betas.numpy())[every - 1 :: every])
    return torch.from_numpy((places[:-1] - places[1:]) / places[:-1])


ex.breach("A way of $T$ steps shall be walked in $T/k$ steps", "no_first_step")
ex.breach("each new step does the work of $k$ old ones", "still_there")
ex.breach("So the new way passes every k-th place", "summed")
ex.breach("both ways end at the same place", "first_places")
ex.breach("`betas` are those of the old way", "float32")
ex.breach("return those of the new one", "alpha_bars")
ex.breach("leave the old ones as they are", "in_place")
ex.breach("If $k$ does not divide $T$", "not_refused")
ex.background("The code below runs", "Find it and mend it")
