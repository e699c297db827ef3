"""The training loop of lesson 01 with one thing changed: most wrong answers are made of it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lessons.lesson01.exercises.diffusion_loss import diffusion_loss
from lessons.lesson01.exercises.q_sample import q_sample


def loop_with(
    *,
    optimiser: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
    per_step: bool = False,
    own_loss: Callable[..., Tensor] = diffusion_loss,
    order: tuple[str, ...] = ("zero", "backward", "step"),
    draw: str = "xtn",
    first_t: int = 0,
    one_t: bool = False,
    whole: bool = False,
    fresh_target: bool = False,
    fewer: int = 0,
    before: Callable[[nn.Module], Any] = lambda net: None,
    report: Callable[[Tensor], Any] = lambda loss: loss.item(),
    here: bool = True,
    generated: Callable[[torch.Generator], torch.Generator | None] = lambda generator: generator,
) -> Callable[..., Any]:
    """A training loop with one thing changed."""

    def loop(
        net: nn.Module,
        x0: Tensor,
        bars: Tensor,
        steps: int,
        batch: int,
        lr: float,
        generator: torch.Generator,
    ) -> list[Any]:
        before(net)
        adam, losses, own = optimiser(net.parameters(), lr=lr), [], generated(generator)
        place = x0.device if here else None
        for _ in range(steps - fewer):
            adam = optimiser(net.parameters(), lr=lr) if per_step else adam
            drawn: dict[str, Any] = {}
            for what in draw:
                if what == "x":
                    chosen = torch.randint(len(x0), (batch,), generator=own, device=place)
                    drawn["x"] = x0 if whole else x0[chosen]
                elif what == "t":
                    low, count = min(first_t, len(bars) - 1), len(drawn.get("x", range(batch)))
                    t = torch.randint(low, len(bars), (1 if one_t else count,), generator=own, device=place)
                    drawn["t"] = t.expand(count)
                else:
                    drawn["n"] = torch.randn(drawn["x"].shape, generator=own, device=place)
            loss = own_loss(net, drawn["x"], drawn["t"], drawn["n"], bars)
            if fresh_target:
                x_t = q_sample(drawn["x"], drawn["t"], drawn["n"], bars)
                target = torch.randn(drawn["x"].shape, generator=own, device=place)
                loss = (net(x_t, drawn["t"]) - target).square().mean()
            for what in order:
                if what == "zero":
                    adam.zero_grad()
                elif what == "backward":
                    loss.backward()
                else:
                    adam.step()
            losses.append(report(loss))
        return losses

    return loop
