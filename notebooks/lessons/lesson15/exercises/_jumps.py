"""Jumps of a student with one thing changed: most wrong answers of `jump_sample` are made of it."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from gantrans.teaching.exercises.kinds.probing import Said


def toy_student(x: Tensor, n: Tensor) -> Tensor:
    """(x (B, ...), n (B,)) -> an image like x, another one at each level."""
    if n.shape != x.shape[:1]:
        raise ValueError(f"n has the shape {tuple(n.shape)}; one level per image is needed")
    level = n.view(-1, *[1] * (x.dim() - 1)).to(x.dtype)
    return torch.sin(1.3 * x + 0.7 * level) + 0.2 * x


@dataclass
class Noted:
    """A student that keeps what it was asked."""

    student: Callable[..., Tensor]
    asked: list[tuple[Tensor, Any]] = field(default_factory=list)

    def __call__(self, x: Tensor, n: Tensor) -> Tensor:
        """The student's image."""
        self.asked.append((x.detach().clone(), n.detach().clone() if isinstance(n, Tensor) else n))
        return self.student(x, n)

    def told(self, jumps: int) -> dict[str, Any]:
        """What it was asked in each of `jumps` jumps, by name."""
        seen: dict[str, Any] = {"calls of `student`": len(self.asked)}
        for i in range(jumps):
            x, n = self.asked[i] if i < len(self.asked) else (Said("not called"),) * 2
            seen[f"`n` in jump {i}"], seen[f"`x` in jump {i}"] = n, x
        return seen


def _mixed(image: Tensor, noise: Tensor, bar: float) -> Tensor:
    return math.sqrt(bar) * image + math.sqrt(1 - bar) * noise


def jump_with(
    *,
    mix: Callable[[Tensor, Tensor, float], Tensor] = _mixed,
    level: Callable[[int, int, int], int] = lambda n, before, count: n,
    told: Callable[[int, int], int] = lambda n, before: n,
    fresh: Callable[[Tensor, Callable[[], Tensor]], Tensor] = lambda start, draw: draw(),
    of: Callable[[Tensor, Tensor], Tensor] = lambda image, x: image,
    start: Callable[[Tensor], Tensor] = lambda x: x,
    generated: Callable[[torch.Generator], Any] = lambda generator: generator,
    report: Callable[[list[Tensor], Tensor], Any] = lambda images, x: images[-1],
    mode: Callable[[], AbstractContextManager[Any]] = torch.no_grad,
    fewer: int = 0,
) -> Callable[..., Any]:
    """Jumps with one thing changed.

    Args:
        level: the next level, the one before, and how many there are -> the level whose alpha-bar is taken.
        told: the next level and the one before -> the level that the student is told.
        fresh: the start and a function that draws -> the noise.
        of: image and x -> what is noised.
        fewer: how many of the last jumps are left out.
    """

    def jumps(
        student: Callable[..., Tensor],
        x: Tensor,
        stops: list[int],
        levels: Tensor,
        generator: torch.Generator,
    ) -> Any:
        first, own = x, generated(generator)

        def draw() -> Tensor:
            return torch.randn(x.shape, generator=own, device=x.device, dtype=x.dtype)

        with mode():
            x = start(x)
            images = [student(x, torch.full((len(x),), stops[0], device=x.device))]
            for before, n in pairwise(stops[: len(stops) - fewer]):
                bar = float(levels[level(n, before, len(levels))])
                x = mix(of(images[-1], x), fresh(first, draw), bar)
                images.append(student(x, torch.full((len(x),), told(n, before), device=x.device)))
        return report(images, x)

    return jumps
