"""The loop of `overfit_one` with one thing changed: most wrong answers are made of it."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ORDER = ("zero", "backward", "step")


def loop_with(
    *,
    optimiser: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
    per_step: bool = False,
    own_loss: Callable[[Tensor, Tensor], Tensor] = F.l1_loss,
    order: tuple[str, ...] = ORDER,
    rounds: Callable[[int], int] = lambda most: most,
    enough_at: Callable[[float, float], bool] = lambda loss, enough: loss < enough,
    stop: str = "before",
    noted_after: bool = False,
    before: Callable[[nn.Module], Any] = lambda net: None,
    report: Callable[[Tensor], Any] = lambda loss: loss.item(),
    returned: Callable[[list[Any]], Any] = lambda losses: losses,
) -> Callable[..., Any]:
    """A loop over one pair; `stop`: where it looks whether the loss is small enough ("before", "after" the
    step, "never")."""

    def loop(net: nn.Module, x: Tensor, y: Tensor, lr: float, enough: float, most: int) -> Any:
        before(net)
        adam, losses = optimiser(net.parameters(), lr=lr), []
        for _ in range(rounds(most)):
            adam = optimiser(net.parameters(), lr=lr) if per_step else adam
            loss = own_loss(net(x), y)
            done = enough_at(float(loss.detach()), enough)
            if not noted_after:
                losses.append(report(loss))
            if done and stop == "before":
                break
            for what in order:
                if what == "zero":
                    adam.zero_grad()
                elif what == "backward":
                    loss.backward()
                else:
                    adam.step()
            if noted_after:
                losses.append(report(own_loss(net(x), y)))
            if done and stop == "after":
                break
        return returned(losses)

    return loop
