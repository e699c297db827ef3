"""The loop of `train_translator` with one thing changed: most wrong answers are made of it."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lessons.lesson00.exercises.augment_pair import augment_pair

Pair = tuple[Tensor, Tensor]
Moved = Callable[[Tensor, Tensor, int], Sequence[Tensor]]


def moved(sem: Tensor, layout: Tensor, move: int) -> Pair:
    """Both images by one of the eight moves."""
    return augment_pair(sem, layout, move >= 4, move % 4)


def l1(answer: Tensor, layout: Tensor) -> Tensor:
    """The mean absolute difference."""
    return (answer - layout).abs().mean()


def l2(answer: Tensor, layout: Tensor) -> Tensor:
    """The mean squared difference."""
    return (answer - layout).square().mean()


def without_graph(answer: Tensor, layout: Tensor) -> Tensor:
    """L1 of an answer that has lost its graph."""
    return (answer.detach() - layout).abs().mean().requires_grad_()


def loop_with(
    *,
    optimiser: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
    per_step: bool = False,
    own_loss: Callable[[Tensor, Tensor], Tensor] = l1,
    own_move: Moved = moved,
    order: tuple[str, ...] = ("zero", "backward", "step"),
    draw: str = "pm",
    moves: int = 8,
    each: bool = False,
    whole: bool = False,
    once: bool = False,
    fewer: int = 0,
    before: Callable[[nn.Module], Any] = lambda net: None,
    report: Callable[[Tensor], Any] = lambda loss: loss.item(),
    here: bool = True,
    generated: Callable[[torch.Generator], torch.Generator | None] = lambda generator: generator,
) -> Callable[..., Any]:
    """A training loop with one thing changed."""

    def loop(
        net: nn.Module,
        sem: Tensor,
        layout: Tensor,
        steps: int,
        batch: int,
        lr: float,
        generator: torch.Generator,
    ) -> list[Any]:
        before(net)
        adam, losses, own = optimiser(net.parameters(), lr=lr), [], generated(generator)
        place = sem.device if here else None
        drawn: dict[str, Tensor] = {}
        for _ in range(steps - fewer):
            adam = optimiser(net.parameters(), lr=lr) if per_step else adam
            for what in "" if once and drawn else draw:
                high, count = (len(sem), batch) if what == "p" else (moves, batch if each else 1)
                drawn[what] = torch.randint(high, (count,), generator=own, device=place)
            pairs = (sem, layout) if whole else (sem[drawn["p"]], layout[drawn["p"]])
            if each:
                rows = range(len(pairs[0]))
                ones = [own_move(pairs[0][[i]], pairs[1][[i]], int(drawn["m"][i])) for i in rows]
                x, y = (torch.cat(images) for images in zip(*ones, strict=True))
            else:
                x, y = own_move(*pairs, int(drawn["m"]) if "m" in drawn else 0)
            loss = own_loss(net(x), y)
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
