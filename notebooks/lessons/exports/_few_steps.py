"""Flow matching, and a student of few steps, for networks that are given a condition."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from gantrans.teaching.mine import (
    Consistent,
    consistency_loss,
    ema_update,
    euler_sample,
    flow_loss,
    jump_sample,
    own_four,
)

PLACES = 10
"""Noise levels between image and noise, on which a student is taught."""
STOPS = {1: [10], 2: [10, 3], 4: [10, 6, 4, 2]}
"""Levels at which it is asked, by the number of jumps."""


def velocity_of(net: nn.Module, x: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """The velocity at (x_t, t in (0, 1]) of a network that names the image, given x (N, 1, H, W)."""

    def velocity(x_t: Tensor, t: Tensor) -> Tensor:
        image: Tensor = net(x_t, (999 * t).round().long(), x)
        return (x_t - image) / t.view(-1, 1, 1, 1)

    return velocity


def flow_matching_loss(net: nn.Module, y: Tensor, x: Tensor, draw: torch.Generator) -> Tensor:
    """The straight path to y at a random time; near time 0 there is nothing to learn."""
    t = 0.05 + 0.95 * torch.rand(len(y), generator=draw)
    return flow_loss(velocity_of(net, x), y, torch.randn(y.shape, generator=draw), t)


def ten_levels(bars: Tensor) -> tuple[Tensor, Tensor]:
    """Timestep and alpha-bar of each level, (11,) both; level 0 has no noise."""
    clock = torch.tensor([0, *(len(bars) * (i + 1) // PLACES - 1 for i in range(PLACES))])
    return clock, torch.cat([bars.new_ones(1), bars[clock[1:]]])


class Distilling:
    """The loss of a student; the target, its moving average, moves with every call."""

    def __init__(self, teacher: nn.Module, student: nn.Module, bars: Tensor) -> None:
        self.teacher, self.target = teacher, copy.deepcopy(student)
        self.clock, self.levels = ten_levels(bars)

    def __call__(self, net: nn.Module, y: Tensor, x: Tensor, draw: torch.Generator) -> Tensor:
        """The loss of a batch of wanted y and given x, (B, 1, H, W)."""
        old, new = ([p.detach() for p in part.parameters()] for part in (self.target, net))
        torch._foreach_copy_(old, ema_update(old, new, 0.9, 10**6))
        n = torch.randint(1, PLACES + 1, (len(y),), generator=draw)

        def teach(x_t: Tensor, level: Tensor) -> Tensor:
            image: Tensor = self.teacher(x_t, self.clock[level], x).clamp(-1, 1)
            return image

        def student(x_t: Tensor, level: Tensor) -> Tensor:
            return net(x_t, level, x)

        def target(x_t: Tensor, level: Tensor) -> Tensor:
            return self.target(x_t, level, x)

        noise = torch.randn(y.shape, generator=draw)
        return consistency_loss(student, target, teach, y, n, noise, self.levels)


def new_student(teacher: nn.Module, bars: Tensor) -> nn.Module:
    """A student that begins as its teacher."""
    made: nn.Module = Consistent(copy.deepcopy(teacher), *ten_levels(bars))
    return made


@torch.no_grad()
def few_answers(
    kind: str, net: nn.Module, x: Tensor, count: int, evaluations: int, bars: Tensor, seed: int
) -> Tensor:
    """`count` answers to each of x by "flow", "student" or "own" -> (count, N, 1, H, W) in [-1, 1]."""
    draw = torch.Generator().manual_seed(seed)

    def once() -> Tensor:
        noise = torch.randn(x.shape, generator=draw)
        if kind == "flow":
            return euler_sample(velocity_of(net, x), noise, evaluations)[-1]
        if kind == "own":
            return own_four(lambda x_t, t: net(x_t, t, x).clamp(-1, 1), noise, bars, draw)
        levels = ten_levels(bars)[1]
        return jump_sample(
            lambda x_t, n: net(x_t, n, x).clamp(-1, 1), noise, STOPS[evaluations], levels, draw
        )

    return torch.stack([once() for _ in range(count)]).clamp(-1, 1)
