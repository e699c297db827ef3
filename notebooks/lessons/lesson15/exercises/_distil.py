"""The loss of consistency distillation with one thing changed: most wrong answers are made of it."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lessons.lesson01.exercises.q_sample import q_sample


def factors(n: Tensor, levels: Tensor, x: Tensor) -> Tensor:
    """The alpha-bars of levels n (B,), with the axes and the dtype of x."""
    return levels[n].view(-1, *[1] * (x.dim() - 1)).to(x.dtype)


def step_down(x: Tensor, image: Tensor, n: Tensor, lower: Tensor, levels: Tensor) -> Tensor:
    """A step of DDIM from level n to `lower`, both (B,), with the predicted image: like x."""
    bar = factors(n, levels, x)
    return q_sample(image, lower, (x - bar.sqrt() * image) / (1 - bar).sqrt(), levels)


class _Last:
    """A network that keeps its last answer."""

    def __init__(self, net: Callable[..., Tensor]) -> None:
        self.net, self.last = net, torch.zeros(())

    def __call__(self, x: Tensor, n: Tensor) -> Tensor:
        self.last = self.net(x, n)
        return self.last


def _found(x: Tensor, image: Tensor, bar: Tensor, noise: Tensor) -> Tensor:
    return (x - bar.sqrt() * image) / (1 - bar).sqrt()


def _one_down(n: Tensor, levels: Tensor) -> Tensor:
    return n - 1


def _by_target(nets: dict[str, Any], lower: Tensor, n: Tensor) -> Tensor:
    answer: Tensor = nets["target"](lower, n - 1)
    return answer


def distilled_with(
    *,
    upper: Callable[[Tensor, Tensor], Tensor] = lambda x, x0: x,
    image: Callable[[dict[str, Any], Tensor, Tensor], Tensor] = lambda nets, x, n: nets["teacher"](x, n),
    bar: Callable[[Tensor], Tensor] = lambda n: n,
    found: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = _found,
    down: Callable[[Tensor, Tensor], Tensor] = _one_down,
    goal: Callable[[dict[str, Any], Tensor, Tensor], Tensor] = _by_target,
    compare: Callable[[Tensor, Tensor], Any] = F.mse_loss,
    turned: bool = False,
    target_learns: bool = False,
    teacher_learns: bool = False,
    again: bool = False,
) -> Callable[..., Any]:
    """The loss with one thing changed.

    Args:
        upper: noisy and clean image -> what the student is asked about.
        image: the networks and `x0` by name, the upper place and its level -> the image to go down with.
        bar: the level whose alpha-bar the noise is worked out with.
        down: levels (B,) and all alpha-bars -> the level of the lower place.
        goal: the networks and `x0` by name, the lower place and the level of the upper one -> the goal.
        turned: the student below, the target above.
    """

    def loss(
        student: Any, target: Any, teacher: Any, x0: Tensor, n: Tensor, noise: Tensor, levels: Tensor
    ) -> Any:
        nets = {"student": student, "target": target, "teacher": _Last(teacher), "x0": x0}
        x = q_sample(x0, n, noise, levels)
        with nullcontext() if teacher_learns else torch.no_grad():
            guess = image(nets, x, n)
            share = factors(bar(n), levels, x)
            lower_level = down(n, levels)
            lower = q_sample(guess, lower_level, found(x, guess, share, noise), levels)
        if turned:
            with torch.no_grad():
                wanted = target(x, n)
            return compare(student(lower, n - 1), wanted)
        with nullcontext() if target_learns or teacher_learns else torch.no_grad():
            wanted = goal(nets, lower, lower_level + 1 if down is not _one_down else n)
        ours = student(upper(x, x0), n)
        if again:
            ours = student(upper(x, x0), n)
        return compare(ours, wanted)

    return loss
