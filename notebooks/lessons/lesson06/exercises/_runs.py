"""What `train_pix2pix` is tried with: toy turns that note what they are given, and the loop with one thing
changed."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lessons.lesson05.exercises._players import ToyJudge, ToyMaker, cross_entropy, towards_two
from lessons.lesson05.exercises.discriminator_step import discriminator_step
from lessons.lesson05.exercises.generator_step import generator_step

Optimizer = torch.optim.Optimizer
Three = tuple[Tensor, Tensor, Tensor]


def falling(step: int, base: float) -> float:
    """A rate that is another one in each step."""
    return base / (2 + step)


def groups(net: nn.Module) -> list[dict[str, Any]]:
    """A group of an optimiser for each parameter, the first one at another rate."""
    return [{"params": [p], "lr": 0.4 if n == 0 else 0.3} for n, p in enumerate(net.parameters())]


def noted_fakes(diary: list[str], G: nn.Module, given: Any, made: Tensor) -> None:
    """G makes fakes; the diary gets a line."""
    diary.append("G makes fakes")


def noted_d(
    diary: list[str], D: nn.Module, optimizer: Optimizer, x: Tensor, y: Tensor, fake: Tensor
) -> float:
    """D's turn; the diary gets a line."""
    diary.append(f"D's turn at the rate {optimizer.param_groups[0]['lr']:.5f}")
    return discriminator_step(D, optimizer, x, y, fake, cross_entropy)


def noted_g(
    diary: list[str], D: nn.Module, optimizer: Optimizer, x: Tensor, y: Tensor, fake: Tensor
) -> float:
    """G's turn; the diary gets a line."""
    diary.append(f"G's turn at the rate {optimizer.param_groups[0]['lr']:.5f}")
    return generator_step(D, optimizer, x, y, fake, towards_two, 0.7)


class LateStore:
    """Gives what it was given in the call before; the diary says whether the fake came with its graph."""

    def __init__(self, diary: list[str]) -> None:
        self.diary = diary
        self.kept: Three | None = None

    def __call__(self, x: Tensor, y: Tensor, fake: Tensor) -> Three:
        """Three tensors of one shape -> three that belong together."""
        self.diary.append(f"the store is given a fake {'with its graph' if fake.requires_grad else 'alone'}")
        given = x.clone(), y.clone(), fake.detach().clone()
        self.kept, back = given, self.kept or given
        return back


def scene(seed: int, x: Tensor, evaluating: bool) -> dict[str, Any]:
    """Both players, their optimisers, and the parts that are passed in."""
    G, D = (net.train(not evaluating).to(x.device) for net in (ToyMaker(seed), ToyJudge(seed + 50)))
    of_g, of_d = (torch.optim.Adam(groups(net), lr=0.3, betas=(0.5, 0.999)) for net in (G, D))
    diary: list[str] = []
    G.register_forward_hook(partial(noted_fakes, diary))
    turns = {"turn_d": partial(noted_d, diary), "turn_g": partial(noted_g, diary)}
    return {"G": G, "D": D, "of_g": of_g, "of_d": of_d, **turns, "store": LateStore(diary), "diary": diary}


def set_rate(optimizer: Optimizer, value: float) -> None:
    """One rate for all of an optimiser's parameters."""
    for group in optimizer.param_groups:
        group["lr"] = value


def _both(of_g: Optimizer, of_d: Optimizer, value: float) -> None:
    set_rate(of_g, value)
    set_rate(of_d, value)


def loop_with(
    *,
    counted: Callable[[range], Iterable[int]] = lambda steps: steps,
    rated: Callable[[Optimizer, Optimizer, float], None] = _both,
    at: Callable[[range, int], int] = lambda steps, step: step,
    rate_last: bool = False,
    once: bool = False,
    drawn: Callable[..., Any] = lambda x, y, batch, draw: chosen(x, y, batch, draw),
    made: Callable[[nn.Module, Tensor, Tensor], Tensor] = lambda G, x, y: G(x),
    stored: Callable[..., Any] = lambda store, x, y, fake: store(x, y, fake.detach()),
    for_g: Callable[..., Any] = lambda x, y, fake, shown: (x, y, fake),
    order: str = "dg",
    optimizers: Callable[..., Any] = lambda G, D, of_g, of_d: (of_g, of_d),
    mode: Callable[[nn.Module, nn.Module], Any] = lambda G, D: None,
    report: Callable[[list[Any]], Any] = lambda losses: losses,
    pair: Callable[[float, float], Any] = lambda d, g: (d, g),
) -> Callable[..., Any]:
    """The training loop with one thing changed."""

    def loop(
        G: nn.Module,
        D: nn.Module,
        of_g: Optimizer,
        of_d: Optimizer,
        x: Tensor,
        y: Tensor,
        steps: range,
        batch: int,
        turn_d: Any,
        turn_g: Any,
        rate: Callable[[int], float],
        store: Any,
        generator: torch.Generator,
    ) -> Any:
        mode(G, D)
        of_g, of_d = optimizers(G, D, of_g, of_d)
        losses: list[Any] = []
        some = drawn(x, y, batch, generator) if once else None
        for step in counted(steps):
            if not rate_last:
                rated(of_g, of_d, rate(at(steps, step)))
            given, wanted = some or drawn(x, y, batch, generator)
            fake = made(G, given, wanted)
            shown = stored(store, given, wanted, fake)
            costs = {"d": 0.0, "g": 0.0}
            for player in order:
                if player == "d":
                    costs["d"] = turn_d(D, of_d, *shown)
                else:
                    costs["g"] = turn_g(D, of_g, *for_g(given, wanted, fake, shown))
            if rate_last:
                rated(of_g, of_d, rate(at(steps, step)))
            losses.append(pair(costs["d"], costs["g"]))
        return report(losses)

    return loop


def chosen(x: Tensor, y: Tensor, batch: int, draw: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """A batch of pairs; one may come twice."""
    rows = torch.randint(len(x), (batch,), generator=draw, device=x.device)
    return x[rows], y[rows]


def chosen_apart(x: Tensor, y: Tensor, batch: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Conditions and images drawn apart."""
    return chosen(x, x, batch, draw)[0], chosen(y, y, batch, draw)[0]


def shuffled(x: Tensor, y: Tensor, batch: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """The first of a shuffled order."""
    rows = torch.randperm(len(x), generator=draw, device=x.device)[:batch]
    return x[rows], y[rows]


def on_the_cpu(x: Tensor, y: Tensor, batch: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rows drawn without a word about the device."""
    rows = torch.randint(len(x), (batch,), generator=draw)
    return x[rows], y[rows]


def made_without_graph(G: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """A fake that has lost its graph, in a way that G's turn can still use."""
    with torch.no_grad():
        fake: Tensor = G(x)
    return fake.requires_grad_()


def first_groups(of_g: Optimizer, of_d: Optimizer, value: float) -> None:
    """A rate for the first group of each alone."""
    of_g.param_groups[0]["lr"] = of_d.param_groups[0]["lr"] = value


def new_optimizers(
    G: nn.Module, D: nn.Module, of_g: Optimizer, of_d: Optimizer
) -> tuple[Optimizer, Optimizer]:
    """Optimisers of the answer's own."""
    made = [torch.optim.Adam(net.parameters(), lr=0.3, betas=(0.5, 0.999)) for net in (G, D)]
    return made[0], made[1]


def batches_first(
    G: Any, D: Any, of_g: Any, of_d: Any, x: Tensor, y: Tensor, steps: range, batch: int,
    turn_d: Any, turn_g: Any, rate: Any, store: Any, generator: torch.Generator,
) -> list[tuple[float, float]]:  # fmt: skip
    """A function for one step, and all batches drawn first."""
    rows = [torch.randint(len(x), (batch,), generator=generator, device=x.device) for _ in steps]

    def one(step: int, here: Tensor) -> tuple[float, float]:
        value = rate(step)
        for group in of_g.param_groups + of_d.param_groups:
            group["lr"] = value
        fake = G(x[here])
        conditions, real, fakes = store(x[here], y[here], fake.clone().detach())
        return turn_d(D, of_d, conditions, real, fakes), turn_g(D, of_g, x[here], y[here], fake)

    return [one(step, here) for step, here in zip(steps, rows, strict=True)]


def by_numbers(
    G: Any, D: Any, of_g: Any, of_d: Any, x: Tensor, y: Tensor, steps: range, batch: int,
    turn_d: Any, turn_g: Any, rate: Any, store: Any, generator: torch.Generator,
) -> list[list[float]]:  # fmt: skip
    """By numbers, pairs side by side on the channels."""
    both, curve = torch.cat([x, y], 1), torch.zeros(len(steps), 2, dtype=torch.float64)
    for n in range(len(steps)):
        here = both[torch.randint(len(both), (batch,), generator=generator, device=x.device)]
        given, wanted = here.chunk(2, 1)
        fake = G(given)
        for optimizer in (of_g, of_d):
            set_rate(optimizer, rate(steps[n]))
        curve[n, 0] = turn_d(D, of_d, *store(given, wanted, fake.data))
        curve[n, 1] = turn_g(D, of_g, given, wanted, fake)
    return [row.tolist() for row in curve]
