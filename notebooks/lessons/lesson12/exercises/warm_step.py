"""Lesson 12: the first step after loading the champion and its optimiser state."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

BETAS = (0.5, 0.999)
EPS = 1e-8

ex = Exercise(
    id="warm_step",
    lesson="12",
    title="The first step of fine-tuning",
    difficulty=3,
    minutes=12,
    spec="""
    You have loaded a champion with Adam's state: the two moments, and `step`, the number of steps already
    taken. `stored_lr` is the rate that came with the state: it has decayed. Take the first step of
    fine-tuning with `gradient`, at a tenth of `base_lr`, Adam going on where it stopped (betas 0.5 and
    0.999, eps 1e-8). Return the new weight; leave the arguments alone.

    With $t = \\text{step} + 1$: $m = \\beta_1 m + (1-\\beta_1) g$, $v = \\beta_2 v + (1-\\beta_2) g^2$,
    $w \\leftarrow w - \\text{lr}\\; \\frac{m / (1-\\beta_1^t)}{\\sqrt{v / (1-\\beta_2^t)} + \\epsilon}$.
    """,
    hints=(
        "Which of the two rates do you want a tenth of? The stored one has decayed, perhaps to nothing.",
        "The bias corrections use t = step + 1, not 1: the moments are old and need hardly any correction.",
        "`m = 0.5 * exp_avg + 0.5 * gradient`, `v = 0.999 * exp_avg_sq + 0.001 * gradient**2`, both over "
        "`1 - beta**(step + 1)`, then `weight - base_lr / 10 * m / (v.sqrt() + 1e-8)`.",
    ),
    source="Kingma and Ba 2015 (Adam), algorithm 1; torch.optim.Adam's state.",
    equivalent={"value.detach()": "an optimiser's step has no graph to cut"},
)


@ex.reference
def warm_step(
    weight: Tensor,
    gradient: Tensor,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    step: int,
    stored_lr: float,
    base_lr: float,
) -> Tensor:
    """Four tensors of one shape, steps taken so far, the rate in the state, the base rate -> new weight."""
    t = step + 1
    m = 0.5 * exp_avg + 0.5 * gradient
    v = 0.999 * exp_avg_sq + 0.001 * gradient**2
    m, v = m / (1 - 0.5**t), v / (1 - 0.999**t)
    return weight - base_lr / 10 * m / (v.sqrt() + 1e-8)


@ex.edges
def _() -> list[Args]:
    one = torch.ones(1, dtype=torch.float64)
    return [
        (one, 0.5 * one, 0.2 * one, 0.04 * one, 1, 0.3, 2.0),
        (one, 0 * one, 0.2 * one, 0.04 * one, 3, 0.3, 2.0),  # no gradient: the moments still move it
        (one, -one, 0.2 * one, 0.01 * one, 1000, 1e-4, 1.0),
        (one, one, 0 * one, 0 * one, 0, 1.0, 1.0),
        (one, 1e-8 * one, 0 * one, 1e-16 * one, 4, 0.5, 1.0),  # where eps matters
        (-one, 0 * one, 0 * one, 0 * one, 7, 0.5, 1.0),
        (0 * one, 2 * one, -0.5 * one, 0.25 * one, 0, 0.25, 4.0),
        (one, 0.5 * one, -0.2 * one, 0.04 * one, 10**6, 0.0, 2.0),
        (one[0], 3 * one[0], one[0], one[0], 2, 0.1, 0.5),
    ]


@ex.inputs
def _(case: Case) -> Args:
    shape = (case.integer(1, 3), case.integer(2, 4))
    base = case.choice((1.0, 2.0, 5.0))
    return (
        case.randn(*shape),
        case.randn(*shape),
        case.randn(*shape),
        0.1 + case.rand(*shape),
        case.integer(1, 40),
        base * case.choice((0.9, 0.5, 0.25)),
        base,
    )


def _adam(weight: Tensor, gradient: Tensor, m: Tensor, v: Tensor, step: int, lr: float) -> Tensor:
    m = BETAS[0] * m + (1 - BETAS[0]) * gradient
    v = BETAS[1] * v + (1 - BETAS[1]) * gradient**2
    t = step + 1
    return weight - lr * (m / (1 - BETAS[0] ** t)) / ((v / (1 - BETAS[1] ** t)).sqrt() + EPS)


ex.wrong(
    "stored_rate",
    "You keep the rate that came with the state: loading the optimiser brought the old rate back.",
    lambda w, g, m, v, step, stored, base: _adam(w, g, m, v, step, stored),
)
ex.wrong(
    "tenth_of_stored",
    "You take a tenth of the stored rate, which has decayed: at the end of a linear decay nothing is left.",
    lambda w, g, m, v, step, stored, base: _adam(w, g, m, v, step, stored / 10),
)
ex.wrong(
    "full_rate",
    "You train at the full base rate: a tenth was asked for, so that old knowledge is kept.",
    lambda w, g, m, v, step, stored, base: _adam(w, g, m, v, step, base),
)
ex.wrong(
    "state_dropped",
    "You start Adam anew, with empty moments at step 0: its first step has the full size in each weight.",
    lambda w, g, m, v, step, stored, base: _adam(w, g, 0 * m, 0 * v, 0, base / 10),
)
ex.wrong(
    "corrected_again",
    "You keep the moments but count from 1 again: old moments are blown up as if they were fresh.",
    lambda w, g, m, v, step, stored, base: _adam(w, g, m, v, 0, base / 10),
)
ex.wrong(
    "step_not_counted",
    "You use t = step; the step that you take is number step + 1.",
    lambda w, g, m, v, step, stored, base: (
        _adam(w, g, m, v, step - 1, base / 10) if step else w * float("nan")
    ),
)
ex.wrong(
    "uphill",
    "You add the step: gradients point uphill.",
    lambda w, g, m, v, step, stored, base: 2 * w - _adam(w, g, m, v, step, base / 10),
)
ex.wrong(
    "plain_gradient",
    "You take a step of plain gradient descent: Adam divides by the root of the second moment.",
    lambda w, g, m, v, step, stored, base: w - base / 10 * g,
)
ex.wrong(
    "half_of_the_state",
    "You carry over the second moment only; the first one holds the direction.",
    lambda w, g, m, v, step, stored, base: _adam(w, g, 0 * m, v, step, base / 10),
)


@ex.wrong("in_place", "You change the moments in place: the champion's state belongs to the champion.")
def _(w: Tensor, g: Tensor, m: Tensor, v: Tensor, step: int, stored: float, base: float) -> Tensor:
    new = _adam(w, g, m, v, step, base / 10)
    m.mul_(0.5).add_(0.5 * g)
    v.mul_(0.999).add_(0.001 * g**2)
    return new


ex.wrong(
    "eps_inside",
    "You add eps below the root; it is added to the root.",
    lambda w, g, m, v, step, stored, base: (
        w
        - base
        / 10
        * ((0.5 * m + 0.5 * g) / (1 - 0.5 ** (step + 1)))
        / ((0.999 * v + 0.001 * g**2) / (1 - 0.999 ** (step + 1)) + EPS).sqrt()
    ),
)
ex.wrong(
    "usual_betas",
    "You take Adam's usual first beta, 0.9; here it is 0.5.",
    lambda w, g, m, v, step, stored, base: (
        w
        - base
        / 10
        * ((0.9 * m + 0.1 * g) / (1 - 0.9 ** (step + 1)))
        / (((0.999 * v + 0.001 * g**2) / (1 - 0.999 ** (step + 1))).sqrt() + EPS)
    ),
)
ex.wrong(
    "not_corrected",
    "You leave the bias corrections out.",
    lambda w, g, m, v, step, stored, base: (
        w - base / 10 * (0.5 * m + 0.5 * g) / ((0.999 * v + 0.001 * g**2).sqrt() + EPS)
    ),
)
ex.wrong(
    "old_moments",
    "You step with the moments as they came: the new gradient has no part in it.",
    lambda w, g, m, v, step, stored, base: (
        w - base / 10 * (m / (1 - 0.5 ** (step + 1))) / ((v / (1 - 0.999 ** (step + 1))).sqrt() + EPS)
    ),
)
ex.wrong(
    "gradient_not_squared",
    "You mix the gradient itself into the second moment; it takes the square.",
    lambda w, g, m, v, step, stored, base: (
        w
        - base
        / 10
        * ((0.5 * m + 0.5 * g) / (1 - 0.5 ** (step + 1)))
        / (((0.999 * v + 0.001 * g) / (1 - 0.999 ** (step + 1))).sqrt() + EPS)
    ),
)
ex.wrong(
    "no_root",
    "You divide by the second moment; Adam divides by its root.",
    lambda w, g, m, v, step, stored, base: (
        w
        - base
        / 10
        * ((0.5 * m + 0.5 * g) / (1 - 0.5 ** (step + 1)))
        / ((0.999 * v + 0.001 * g**2) / (1 - 0.999 ** (step + 1)) + EPS)
    ),
)
ex.wrong(
    "step_returned",
    "You return the step; the new weight was asked for.",
    lambda w, g, m, v, step, stored, base: _adam(w, g, m, v, step, base / 10) - w,
)
ex.wrong(
    "ten_times",
    "You multiply the base rate by ten; a tenth of it was asked for.",
    lambda w, g, m, v, step, stored, base: _adam(w, g, m, v, step, base * 10),
)
ex.wrong(
    "betas_turned",
    "You have old and new the wrong way round in the second moment: 0.999 is the share that stays.",
    lambda w, g, m, v, step, stored, base: (
        w
        - base
        / 10
        * ((0.5 * m + 0.5 * g) / (1 - 0.5 ** (step + 1)))
        / (((0.001 * v + 0.999 * g**2) / (1 - 0.999 ** (step + 1))).sqrt() + EPS)
    ),
)


@ex.wrong("weight_in_place", "You change the weight that you were given; return a new one.")
def _(w: Tensor, g: Tensor, m: Tensor, v: Tensor, step: int, stored: float, base: float) -> Tensor:
    return w.copy_(_adam(w, g, m, v, step, base / 10))


ex.right(lambda w, g, m, v, step, stored, base: _adam(w, g, m, v, step, 0.1 * base))


@ex.right
def _(w: Tensor, g: Tensor, m: Tensor, v: Tensor, step: int, stored: float, base: float) -> Tensor:
    parameter = torch.nn.Parameter(w.clone())
    optimizer = torch.optim.Adam([parameter], lr=base, betas=BETAS, foreach=False)
    state = {"step": torch.tensor(float(step)), "exp_avg": m.clone(), "exp_avg_sq": v.clone()}
    group = {**optimizer.state_dict()["param_groups"][0], "lr": stored}
    optimizer.load_state_dict({"state": {0: state}, "param_groups": [group]})
    optimizer.param_groups[0]["lr"] = base / 10
    parameter.grad = g.clone()
    optimizer.step()
    return parameter.detach()


@ex.right
def _(w: Tensor, g: Tensor, m: Tensor, v: Tensor, step: int, stored: float, base: float) -> Tensor:
    first = torch.lerp(m, g, 0.5) / (1 - 0.5 ** (step + 1))
    second = torch.lerp(v, g * g, 0.001) / (1 - 0.999 ** (step + 1))
    return torch.addcdiv(w, first, second.sqrt() + 1e-8, value=-base / 10)


@ex.right
def _(w: Tensor, g: Tensor, m: Tensor, v: Tensor, step: int, stored: float, base: float) -> Tensor:
    first, second = (m + g) / 2, v + (g.square() - v) / 1000
    root = (second / (1 - 0.999 ** (1 + step))) ** 0.5
    return w - (base * 0.1 / (1 - 0.5 ** (1 + step))) * first / (root + 1e-8)


ex.breach("You have loaded a champion with Adam's state", "state_dropped")
ex.breach("`stored_lr` is the rate that came with the state", "tenth_of_stored")
ex.breach("at a tenth of `base_lr`", "full_rate")
ex.breach("Adam going on where it stopped (betas 0.5 and 0.999, eps 1e-8)", "usual_betas")
ex.breach("Return the new weight; leave the arguments alone.", "in_place")
ex.breach(r"With $t = \text{step} + 1$:", "step_not_counted")
ex.breach(r"$m = \beta_1 m", "eps_inside")
