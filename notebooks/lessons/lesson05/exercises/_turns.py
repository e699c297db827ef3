"""One player's turn with one thing changed: most wrong answers of both turns are made of it."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

Judged = Callable[..., Any]
Slip = tuple[str, str, Callable[..., Any]]
"""Name, misconception and answer of a wrong answer."""


def logits(D: nn.Module, condition: Tensor, image: Tensor) -> Any:
    """What D says of a pair."""
    return D(condition, image)[0]


def take(
    optimizer: torch.optim.Optimizer, loss: Tensor, order: tuple[str, ...] = ("zero", "backward", "step")
) -> None:
    """The parts of an optimiser's step in some order."""
    for what in order:
        if what == "zero":
            optimizer.zero_grad()
        elif what == "backward":
            loss.backward()
        else:
            optimizer.step()


def d_turn(
    *,
    real: Judged = lambda D, x, y, fake: logits(D, x, y),
    fakes: Judged = lambda D, x, y, fake: logits(D, x, fake.detach()),
    value: Judged = lambda loss, real, fake: loss(real, fake),
    order: tuple[str, ...] = ("zero", "backward", "step"),
    report: Callable[[Tensor], Any] = lambda value: value.item(),
    before: Judged = lambda D, optimizer: None,
    after: Judged = lambda D, optimizer: None,
) -> Callable[..., Any]:
    """D's turn with one thing changed."""

    def turn(
        D: nn.Module,
        optimizer: torch.optim.Optimizer,
        x: Tensor,
        y: Tensor,
        fake: Tensor,
        loss: Callable[[Tensor, Tensor], Tensor],
    ) -> Any:
        own = before(D, optimizer)
        cost = value(loss, real(D, x, y, fake), fakes(D, x, y, fake))
        take(optimizer if own is None else own, cost, order)
        after(D, optimizer)
        return report(cost)

    return turn


def l1(fake: Tensor, y: Tensor) -> Tensor:
    """The mean absolute difference."""
    return (fake - y).abs().mean()


def g_turn(
    *,
    judged: Judged = lambda D, x, y, fake: logits(D, x, fake),
    pixels: Judged = lambda x, y, fake: l1(fake, y),
    value: Judged = lambda gan, pixels, weight: gan + weight * pixels,
    order: tuple[str, ...] = ("zero", "backward", "step"),
    report: Judged = lambda value, gan, pixels: value.item(),
    before: Judged = lambda D, optimizer: D.requires_grad_(False),
    after: Judged = lambda D, optimizer: D.requires_grad_(True),
) -> Callable[..., Any]:
    """G's turn with one thing changed."""

    def turn(
        D: nn.Module,
        optimizer: torch.optim.Optimizer,
        x: Tensor,
        y: Tensor,
        fake: Tensor,
        loss: Callable[[Tensor], Tensor],
        weight_l1: float,
    ) -> Any:
        before(D, optimizer)
        gan, off = loss(judged(D, x, y, fake)), pixels(x, y, fake)
        cost = value(gan, off, weight_l1)
        take(optimizer, cost, order)
        after(D, optimizer)
        return report(cost, gan, off)

    return turn


def zeroed_afterwards(D: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """D's gradients are thrown away, and it may learn again."""
    D.requires_grad_(True)
    D.zero_grad()


def of_all(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """The parameters that an optimiser moves."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def moved_in_eval(D: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """D in eval mode, frozen."""
    D.eval().requires_grad_(False)


def new_adam(D: nn.Module, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """An optimiser of the answer's own."""
    return torch.optim.Adam(D.parameters(), lr=optimizer.param_groups[0]["lr"], betas=(0.5, 0.999))


def step_slips(turn: Callable[..., Callable[..., Any]], player: str) -> Iterator[Slip]:
    """The wrong answers that are about the optimiser and what is returned, for `d_turn` or `g_turn`."""
    yield (
        "no_zero_grad",
        "You do not clear the gradients before `backward`: what earlier turns have left there goes into this "
        "step.",
        turn(order=("backward", "step")),
    )
    yield (
        "no_step",
        "You leave out `step()` or `backward()`, or clear the gradients between them: "
        f"{player} stays as it was.",
        turn(order=("zero", "backward")),
    )
    yield (
        "step_first",
        "You step before `backward`: the step goes along the gradients that were there before.",
        turn(order=("step", "zero", "backward")),
    )
    yield (
        "two_steps",
        "You take two steps; one was asked for.",
        turn(order=("zero", "backward", "step", "step")),
    )
    yield (
        "with_graph",
        "You return the loss as a tensor: whoever keeps it keeps the graph of the step.",
        turn(report=lambda value, *parts: value),
    )
    yield (
        "detached_tensor",
        "You return the loss as a tensor without a graph; a plain float was asked for (`.item()`).",
        turn(report=lambda value, *parts: value.detach()),
    )
    yield "returned_nothing", "You forget to return the loss.", turn(report=lambda value, *parts: None)
