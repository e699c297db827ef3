"""The scene of a whole step, and the step with one thing changed."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gantrans.teaching.exercises.kinds import left_behind
from lessons.lesson05.exercises._players import ToyJudge, ToyMaker

Optimizer = torch.optim.Optimizer


def scene(seed: int, x: Tensor, y: Tensor, lr: float, plain: bool, evaluating: bool) -> dict[str, Any]:
    """Both players, with gradients that an earlier step has left, and their optimisers."""
    G, D = left_behind(ToyMaker(seed), -1.0), left_behind(ToyJudge(seed + 50), 2.0)
    G, D = G.train(not evaluating).to(x.device), D.train(not evaluating).to(x.device)
    if plain:
        of: list[Optimizer] = [torch.optim.SGD(net.parameters(), lr=lr) for net in (G, D)]
    else:
        of = [torch.optim.Adam(net.parameters(), lr=lr, betas=(0.5, 0.999)) for net in (G, D)]
    return {"G": G, "D": D, "of_g": of[0], "of_d": of[1], "x": x, "y": y}


def squares(real: Tensor, made: Tensor) -> Tensor:
    """D's loss: least squares, halved."""
    return ((real - 1).square().mean() + made.square().mean()) / 2


def whole_with(
    *,
    shown: Callable[[Tensor], Tensor] = lambda fake: fake.detach(),
    again: Callable[[Tensor], Tensor] = lambda fake: fake,
    loss_d: Callable[[Tensor, Tensor], Tensor] = squares,
    verdict: Callable[[Tensor], Tensor] = lambda made: (made - 1).square().mean(),
    pixels: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda fake, x, y: (fake - y).abs().mean(),
    total: Callable[[Tensor, Tensor, float], Tensor] = lambda gan, pixels, weight: gan + weight * pixels,
    pair: Callable[[nn.Module, Tensor, Tensor], Any] = lambda D, condition, image: D(condition, image)[0],
    zero: str = "before each",
    late: bool = False,
    old: bool = False,
    thaw: bool = True,
    mode: Callable[[nn.Module, nn.Module], Any] = lambda G, D: None,
    report: Callable[[Tensor, Tensor], Any] = lambda d, g: (d.item(), g.item()),
) -> Callable[..., Any]:
    """Both turns with one thing changed.

    Args:
        shown: the fake -> what D is shown in its own turn.
        again: the fake -> what D is shown in G's turn.
        zero: when gradients are cleared: "before each" backward, "at the start", "never", "D only", "G only".
        late: D's step is taken at the end. `old`: the verdict for G's turn is that of the D before its step.
    """

    def step(
        G: nn.Module, D: nn.Module, of_g: Optimizer, of_d: Optimizer, x: Tensor, y: Tensor, weight_l1: float
    ) -> Any:
        mode(G, D)
        if zero == "at the start":
            of_g.zero_grad()
            of_d.zero_grad()
        fake = G(x)
        cost_d = loss_d(pair(D, x, y), pair(D, x, shown(fake)))
        before = pair(D, x, again(fake)) if old else None
        if zero in ("before each", "D only"):
            of_d.zero_grad()
        cost_d.backward(retain_graph=True)
        kept = [None if p.grad is None else p.grad.clone() for p in D.parameters()]
        if not late and not old:
            of_d.step()
        D.requires_grad_(False)
        judged = pair(D, x, again(fake)) if before is None else before
        cost_g = total(verdict(judged), pixels(fake, x, y), weight_l1)
        if zero in ("before each", "G only"):
            of_g.zero_grad()
        cost_g.backward()
        of_g.step()
        D.requires_grad_(True)
        for parameter, gradient in zip(D.parameters(), kept, strict=True):
            parameter.grad = gradient
        if late or old:
            of_d.step()
        D.requires_grad_(thaw)
        return report(cost_d, cost_g)

    return step
