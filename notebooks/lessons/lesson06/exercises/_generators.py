"""A toy generator with batch norm and dropout, and its use with one thing changed."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.teaching.exercises.kinds import ToyNetwork


class ToyTranslator(ToyNetwork):
    """(B, 1, H, W) -> the same: a filter, batch norm, dropout, tanh. No more than `most` images fit."""

    def __init__(self, seed: int, drop: float = 0.3, most: int = 9) -> None:
        super().__init__()
        self.most = most
        draw = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(1, 1, 3, 3, generator=draw))
        self.norm, self.drop = nn.BatchNorm2d(1), nn.Dropout(drop)
        for buffer in (self.norm.running_mean, self.norm.running_var):
            assert buffer is not None
            buffer.copy_(torch.rand(1, generator=draw) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Pixels outside the image count as 0.

        Raises:
            MemoryError: for more images than fit.
        """
        if len(x) > self.most:
            raise MemoryError(f"{len(x)} images at a time do not fit into memory, {self.most} do")
        made: Tensor = self.drop(self.norm(F.conv2d(x, self.weight, padding=1)))
        return made.tanh()


def use_with(
    *,
    evaluating: bool = True,
    evaluate: Callable[[Any], Any] = lambda G: G.eval(),
    without_graph: bool = True,
    parts: Callable[[Tensor, int], Sequence[Tensor]] = lambda x, batch: x.split(batch),
    joined: Callable[[list[Tensor]], Any] = torch.cat,
    restore: Callable[[Any, bool], Any] = lambda G, mode: G.train(mode),
) -> Callable[..., Any]:
    """The use of a generator with one thing changed."""

    def answer(G: nn.Module, x: Tensor, batch: int) -> Any:
        mode = G.training
        if evaluating:
            evaluate(G)
        with torch.no_grad() if without_graph else nullcontext():
            made = [G(part) for part in parts(x, batch)]
        restore(G, mode)
        return joined(made)

    return answer
