"""Lesson 11: the two-sided CUSUM chart."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="cusum",
    lesson="11",
    title="Adding up small deviations",
    difficulty=3,
    minutes=12,
    spec=r"""
    Page's CUSUM keeps two sums, both at 0 before the first value:

    $$U_t = \max(0, U_{t-1} + z_t - k), \qquad D_t = \max(0, D_{t-1} - z_t - k).$$

    $z_t$ is a mean in standard deviations, $k$ the *slack*: deviations smaller than it wear the sums down,
    lasting larger ones pile up. Return both sums after every value. Tensors that you make
    must be on the device of `z`.
    """,
    hints=(
        "A loop over the values with two running sums is fine; append both after every step.",
        "The slack is subtracted from *both* sums; the down sum gets minus z.",
        "`up = max(0, up + z - slack)`, `down = max(0, down - z - slack)`; stack them as rows.",
    ),
    source="Page 1954, “Continuous inspection schemes”, Biometrika 41.",
    equivalent={
        "value.detach()": "no gradient is asked for",
        "3.4 value.float()": "a zero is a zero, and a single number takes its partner's dtype",
        "`torch.zeros((), device=z.device)`": "a single number takes its partner's dtype",
        "`torch.zeros((), dtype=z.dtype)`": "a single number on the CPU goes with any device",
    },
)


@ex.reference
def cusum(z: Tensor, slack: float) -> Tensor:
    """Deviations (T,) and the slack k -> (T, 2): the upward and the downward sum after each value."""
    up = down = torch.zeros((), dtype=z.dtype, device=z.device)
    rows = []
    for value in z:
        up = (up + value - slack).clamp(min=0)
        down = (down - value - slack).clamp(min=0)
        rows.append(torch.stack([up, down]))
    return torch.stack(rows)


@ex.edges
def _() -> list[Args]:
    rows = [
        ([1.0, 1.0, 1.0], 0.5),
        ([-1.0, -1.0, -1.0], 0.5),
        ([3.0, -3.0, 3.0, -3.0], 0.5),
        ([0.2, -0.2, 0.4], 0.5),
        ([-4.0, 2.0], 0.0),
        ([2.0], 1.0),
        ([-2.0], 1.0),
        ([0.5, -0.5, 1.5, -0.5, 0.25], 0.5),
        ([0.0, 0.0, 0.0], 0.0),
        ([5.0, -1.0, -1.0, 2.0, -9.0, 0.5, 3.0], 0.75),
    ]
    return [(torch.tensor(z, dtype=torch.float64), k) for z, k in rows]


@ex.inputs
def _(case: Case) -> Args:
    drift = case.choice((0.0, 0.8, -0.8))
    return case.randn(case.integer(2, 20)) + drift, case.choice((0.25, 0.5, 1.0))


def _chart(z: Tensor, up_step: Tensor, down_step: Tensor, floor: float = 0.0) -> Tensor:
    up = down = torch.zeros((), dtype=z.dtype)
    rows = []
    for u, d in zip(up_step, down_step, strict=True):
        up, down = (up + u).clamp(min=floor), (down + d).clamp(min=floor)
        rows.append(torch.stack([up, down]))
    return torch.stack(rows)


ex.wrong(
    "no_floor",
    "You let the sums go below zero: a long quiet time then builds up credit that a drift must first use up.",
    lambda z, k: torch.stack([(z - k).cumsum(0), (-z - k).cumsum(0)], 1),
)
ex.wrong(
    "floor_at_the_end",
    "You cut at zero after adding everything up; the sum must restart from zero whenever it falls below.",
    lambda z, k: torch.stack([(z - k).cumsum(0), (-z - k).cumsum(0)], 1).clamp(min=0),
)
ex.wrong(
    "no_slack",
    "You leave out the slack: without it chance alone drives the sums up.",
    lambda z, k: _chart(z, z, -z),
)
ex.wrong(
    "slack_added",
    "You add the slack to the down sum; it must be subtracted from both.",
    lambda z, k: _chart(z, z - k, -z + k),
)
ex.wrong(
    "absolute",
    "You add |z| to both sums: noise has a size too, so they never come down.",
    lambda z, k: _chart(z, z.abs() - k, z.abs() - k),
)
ex.wrong(
    "one_sided",
    "You keep the upward sum alone (twice); a falling mean would never be seen.",
    lambda z, k: _chart(z, z - k, z - k),
)
ex.wrong("swapped", "You return the downward sum first.", lambda z, k: _chart(z, -z - k, z - k))
ex.wrong(
    "negative_down",
    "You keep the downward sum as a negative number; here both are sizes, never below zero.",
    lambda z, k: _chart(z, z - k, -z - k) * torch.tensor([1.0, -1.0], dtype=z.dtype),
)
ex.wrong(
    "floor_before",
    "You cut each step at zero before adding it: a sum that never falls alarms one day, drift or not.",
    lambda z, k: torch.stack([(z - k).clamp(min=0).cumsum(0), (-z - k).clamp(min=0).cumsum(0)], 1),
)
ex.wrong(
    "last_only", "You return the last sums alone; the chart is wanted after every value.",
    lambda z, k: _chart(z, z - k, -z - k)[-1],
)  # fmt: skip
ex.wrong(
    "rows_and_columns", "You return (2, T); the chart has a row per value.",
    lambda z, k: _chart(z, z - k, -z - k).T,
)  # fmt: skip
ex.wrong(
    "double_slack", "You subtract twice the slack: it is k already half of the shift to be found.",
    lambda z, k: _chart(z, z - 2 * k, -z - 2 * k),
)  # fmt: skip

ex.wrong(
    "starts_with_zero",
    "You return the sums before the first value as well; a row belongs to every value, after it.",
    lambda z, k: torch.cat([z.new_zeros(1, 2), _chart(z, z - k, -z - k)]),
)
ex.wrong(
    "one_late",
    "You return the sums *before* every value; they were asked for after it.",
    lambda z, k: torch.cat([z.new_zeros(1, 2), _chart(z, z - k, -z - k)[:-1]]),
)
ex.wrong(
    "first_as_start",
    "You start the sums at the first value; they are at 0 before it.",
    lambda z, k: _chart(z, torch.cat([z[:1], z[1:] - k]), torch.cat([-z[:1], -z[1:] - k])),
)
ex.wrong(
    "plus_slack",
    "You add the slack to both sums; it is subtracted.",
    lambda z, k: _chart(z, z + k, -z + k),
)
ex.wrong(
    "upper_sum_alone",
    "You return one sum; the downward one was asked for as well.",
    lambda z, k: _chart(z, z - k, -z - k)[:, 0],
)


@ex.wrong(
    "coupled",
    "You take the new upward sum for the downward one's last value; each sum goes on from its own.",
)
def _(z: Tensor, slack: float) -> Tensor:
    value, rows = torch.zeros((), dtype=z.dtype), []
    for step in z:
        up = (value + step - slack).clamp(min=0)
        value = (up - step - slack).clamp(min=0)
        rows.append(torch.stack([up, value]))
    return torch.stack(rows)


@ex.wrong("reset_together", "You set both sums to 0 as soon as one of them falls below; each restarts alone.")
def _(z: Tensor, slack: float) -> Tensor:
    up = down = torch.zeros((), dtype=z.dtype)
    rows = []
    for step in z:
        up, down = up + step - slack, down - step - slack
        if up < 0 or down < 0:
            up = down = torch.zeros((), dtype=z.dtype)
        rows.append(torch.stack([up, down]))
    return torch.stack(rows)


ex.wrong(
    "walk_without_its_start",
    "You subtract the smallest sum so far but leave the 0 before the first value out of it.",
    lambda z, k: torch.stack([_above_lowest(z - k), _above_lowest(-z - k)], 1),
)


def _above_lowest(step: Tensor) -> Tensor:
    walk = step.cumsum(0)
    return walk - walk.cummin(0).values


@ex.wrong("one_ends_the_other", "You set one sum to 0 as soon as the other grows; each restarts alone.")
def _(z: Tensor, slack: float) -> Tensor:
    up = down = torch.zeros((), dtype=z.dtype)
    rows = []
    for step in z:
        up, down = (up + step - slack).clamp(min=0), (down - step - slack).clamp(min=0)
        up, down = (up, 0 * down) if step > slack else (0 * up, down) if step < -slack else (up, down)
        rows.append(torch.stack([up, down]))
    return torch.stack(rows)


@ex.wrong("slack_after_the_cut", "You cut at zero before you subtract the slack: the sums go below zero.")
def _(z: Tensor, slack: float) -> Tensor:
    up = down = torch.zeros((), dtype=z.dtype)
    rows = []
    for step in z:
        up, down = (up + step).clamp(min=0) - slack, (down - step).clamp(min=0) - slack
        rows.append(torch.stack([up, down]))
    return torch.stack(rows)


@ex.wrong("cut_one_late", "You cut the sum before the step and not after it: what you return is below zero.")
def _(z: Tensor, slack: float) -> Tensor:
    up = down = torch.zeros((), dtype=z.dtype)
    rows = []
    for step in z:
        up, down = up.clamp(min=0) + step - slack, down.clamp(min=0) - step - slack
        rows.append(torch.stack([up, down]))
    return torch.stack(rows)


ex.right(lambda z, k: _chart(z, z - k, -z - k))


@ex.right
def _(z: Tensor, slack: float) -> Tensor:
    up, down, rows = 0.0, 0.0, []
    for value in z.tolist():
        up, down = max(0.0, up + value - slack), max(0.0, down - value - slack)
        rows.append([up, down])
    return torch.tensor(rows, dtype=z.dtype)


@ex.right
def _(z: Tensor, slack: float) -> Tensor:
    """A sum less its smallest value so far, which is what cutting at zero amounts to."""
    sides = []
    for step in (z - slack, -z - slack):
        walk = torch.cat([torch.zeros(1, dtype=z.dtype, device=z.device), step.cumsum(0)])
        sides.append((walk - walk.cummin(0).values)[1:])
    return torch.stack(sides, dim=1)


@ex.right
def _(z: Tensor, slack: float) -> Tensor:
    sums, rows = torch.zeros(2, dtype=z.dtype, device=z.device), []
    for value in z:
        sums = torch.relu(sums + torch.stack([value, -value]) - slack)
        rows.append(sums)
    return torch.stack(rows)


ex.breach("Page's CUSUM keeps two sums, both at 0 before the first value", "first_as_start")
ex.breach(r"$$U_t = \max(0, U_{t-1}", "no_floor")
ex.breach("$k$ the *slack*", "no_slack")
ex.breach("Return both sums after every value.", "one_late")


ex.breach(
    "Tensors that you make must be on the device of `z`.", lambda z, k: ex.function(z * torch.ones(1), k)
)
