"""Lesson 06: the whole training of a translator, put together of its parts."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import StepExercise
from lessons.lesson05.exercises._players import images
from lessons.lesson06.exercises import _runs as runs
from lessons.lesson06.exercises._runs import loop_with, set_rate

ex = StepExercise(
    id="train_pix2pix",
    lesson="06",
    title="The whole training",
    difficulty=4,
    minutes=20,
    draws=4,
    patience=3600.0,
    behind=("diary",),
    spec="""
    Put the training together. Its parts are passed in, so that each can be exchanged. `G` and `D` are the
    players, `of_g` and `of_d` their optimisers, `x` and `y` all conditions and images, `(N, 1, H, W)`.
    `steps` is a range, such as `range(300)`, or `range(120, 300)` for a run that goes on. In each `step` of
    it:

    1. Set the learning rate of both optimisers to `rate(step)`, for every group of their parameters.
    2. Draw the batch: `torch.randint(len(x), (batch,))` with `generator` and on the device of `x`. These rows
       of `x` and `y` are the pairs; one may come twice.
    3. Make the fakes, once, with `G` from the conditions.
    4. `store(x, y, fake)` of the batch gives three tensors that belong together, some of them from earlier
       steps. Give it the fakes without their graph, because it keeps them.
    5. D's turn comes first: `turn_d(D, of_d, x, y, fake)` with the three from the store.
    6. Then G's turn: `turn_g(D, of_g, x, y, fake)` with the batch itself, and with fakes that have their
       graph.

    Each turn returns its loss as a float. Return the list of pairs `(loss_d, loss_g)`, one per step. Leave
    the modes of both networks as they are.
    """,
    hints=(
        "The turns do the work: they clear gradients, go backwards, step. The loop only passes the right "
        "things on.",
        'The rate: `for group in (*of_g.param_groups, *of_d.param_groups): group["lr"] = rate(step)`.',
        "`fake = G(given)`, `loss_d = turn_d(D, of_d, *store(given, wanted, fake.detach()))`, "
        "`loss_g = turn_g(D, of_g, given, wanted, fake)`.",
    ),
    source="Isola et al. 2017, sec. 3.3; Shrivastava et al. 2017, sec. 2.3 (the store); "
    "`lessons.lesson05.pix2pix.reference_step` is one step of it.",
    equivalent={
        "`(*of_g.param_groups, *of_d.param_groups)` ->": "both get the same rate, in either order",
        "value.detach()": "neither the data nor a draw carries a graph",
        "value.float()": "everything is float32 already",
    },
)


@ex.reference
def train_pix2pix(
    G: nn.Module,
    D: nn.Module,
    of_g: torch.optim.Optimizer,
    of_d: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    steps: range,
    batch: int,
    turn_d: Callable[..., float],
    turn_g: Callable[..., float],
    rate: Callable[[int], float],
    store: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]],
    generator: torch.Generator,
) -> list[tuple[float, float]]:
    """Players, optimisers, x and y (N, 1, H, W), a range, parts -> (D's loss, G's loss) of every step."""
    losses = []
    for step in steps:
        for group in (*of_g.param_groups, *of_d.param_groups):
            group["lr"] = rate(step)
        chosen = torch.randint(len(x), (batch,), generator=generator, device=x.device)
        given, wanted = x[chosen], y[chosen]
        fake = G(given)
        loss_d = turn_d(D, of_d, *store(given, wanted, fake.detach()))
        loss_g = turn_g(D, of_g, given, wanted, fake)
        losses.append((loss_d, loss_g))
    return losses


@ex.build
def _(
    seed: int, x: Tensor, y: Tensor, steps: range, batch: int, base: float, evaluating: bool
) -> dict[str, Any]:
    made = runs.scene(seed, x, evaluating)
    parts = {name: made[name] for name in ("turn_d", "turn_g")}
    rate = partial(runs.falling, base=base)
    draw = torch.Generator().manual_seed(seed)
    players = {name: made[name] for name in ("G", "D", "of_g", "of_d")}
    data = {"x": x, "y": y, "steps": steps, "batch": batch}
    end = {"rate": rate, "store": made["store"], "generator": draw, "diary": made["diary"]}
    return {**players, **data, **parts, **end}


@ex.edges
def _() -> list[Args]:
    x, y = images(5, 4, 0)
    return [
        (1, x, y, range(4), 2, 0.2, False),
        (2, x, y, range(3, 6), 2, 0.2, False),  # a run that goes on
        (3, x, y, range(2), 8, 0.1, False),  # more than there are
        (4, x[:1], y[:1], range(3), 1, 0.1, False),
        (5, x, y, range(0), 2, 0.1, False),
        (6, x.mT, y.mT, range(3), 3, 0.2, True),  # not contiguous, and in eval mode
    ]


@ex.inputs
def _(case: Case) -> Args:
    x, y = images(case.integer(3, 6), case.integer(2, 4), 100 + case.seed)
    first = case.integer(0, 5)
    return 10 + case.seed, x, y, range(first, first + case.integer(2, 4)), case.integer(1, 3), 0.2, False


for name, misconception, answer in (
    (
        "store_with_graph",
        "You give the store fakes with their graph: it keeps them, and with them the graphs of many steps.",
        loop_with(stored=lambda store, x, y, fake: store(x, y, fake)),
    ),
    (
        "no_store",
        "You do not use the store: D then sees the newest fakes only.",
        loop_with(stored=lambda store, x, y, fake: (x, y, fake.detach())),
    ),
    (
        "store_not_used",
        "You call the store and give D the batch all the same.",
        loop_with(stored=lambda store, x, y, fake: (store(x, y, fake.detach()), (x, y, fake.detach()))[1]),
    ),
    (
        "parted",
        "You take the fakes from the store and leave conditions and images: the three belong together.",
        loop_with(stored=lambda store, x, y, fake: (x, y, store(x, y, fake.detach())[2])),
    ),
    (
        "store_for_both",
        "You give G the three from the store, too: old fakes carry no graph, so G learns from D nothing.",
        loop_with(for_g=lambda x, y, fake, shown: (shown[0], shown[1], shown[2] + 0 * fake)),
    ),
    (
        "fake_without_graph",
        "You give G's turn fakes without their graph: nothing reaches G, and it stays as it was.",
        loop_with(made=runs.made_without_graph),
    ),
    (
        "fake_detached",
        "You detach the fakes for good; only the store and D's turn get them without their graph.",
        loop_with(made=lambda G, x, y: G(x).detach()),
    ),
    (
        "made_twice",
        "You run G once for each turn: dropout gives G's turn other fakes, and batch norm counts the batch "
        "twice.",
        loop_with(made=lambda G, x, y: (G(x), G(x))[1]),
    ),
    ("g_first", "You let G take its turn first.", loop_with(order="gd")),
    ("d_twice", "D takes two turns in a step; each player has one.", loop_with(order="ddg")),
    ("g_twice", "G takes two turns in a step; each player has one.", loop_with(order="dgg")),
    (
        "rate_never_set",
        "You do not set the learning rate: it never decays.",
        loop_with(rated=lambda of_g, of_d, value: None),
    ),
    (
        "rate_of_d_only",
        "You set D's rate only; both optimisers have the rate of the step.",
        loop_with(rated=lambda of_g, of_d, value: set_rate(of_d, value)),
    ),
    (
        "rate_of_g_only",
        "You set G's rate only; both optimisers have the rate of the step.",
        loop_with(rated=lambda of_g, of_d, value: set_rate(of_g, value)),
    ),
    (
        "first_group_only",
        "You set the rate of the first group of parameters only; an optimiser may have several.",
        loop_with(rated=runs.first_groups),
    ),
    (
        "rate_after_the_turns",
        "You set the rate after the turns: the first step runs at another one.",
        loop_with(rate_last=True),
    ),
    (
        "rate_of_the_next_step",
        "You ask for the rate of `step + 1`; `step` counts from 0, as `rate` does.",
        loop_with(at=lambda steps, step: step + 1),
    ),
    (
        "counted_from_zero",
        "You count the steps from 0, whatever `steps` says: a run that goes on would begin anew.",
        loop_with(at=lambda steps, step: step - steps.start),
    ),
    (
        "one_rate_for_all",
        "You ask for the rate once: it never decays.",
        loop_with(at=lambda steps, step: steps.start),
    ),
    ("one_batch", "You draw once, before the loop: all steps then see the same few pairs.",
     loop_with(once=True)),
    (
        "drawn_apart",
        "You draw the conditions and the images apart: they are no pairs any more.",
        loop_with(drawn=runs.chosen_apart),
    ),
    (
        "whole_data",
        "You take all pairs in every step instead of a batch.",
        loop_with(drawn=lambda x, y, batch, draw: (x, y)),
    ),
    (
        "shuffled",
        "You shuffle and take the first ones, so none comes twice; `randint` may draw one twice.",
        loop_with(drawn=runs.shuffled),
    ),
    (
        "global_random",
        "You draw without `generator`: nobody could repeat your training.",
        loop_with(drawn=lambda x, y, batch, draw: runs.chosen(x, y, batch, None)),
    ),
    (
        "own_generator",
        "You draw with a generator of your own; the one you are given goes unused.",
        loop_with(
            drawn=lambda x, y, batch, draw: runs.chosen(x, y, batch, torch.Generator().manual_seed(0))
        ),
    ),
    ("made_of_y", "You let G translate `y`; it is given the conditions `x`.",
     loop_with(made=lambda G, x, y: G(y))),
    (
        "turned_round",
        "You have conditions and images the wrong way round in G's turn.",
        loop_with(for_g=lambda x, y, fake, shown: (y, x, fake)),
    ),
    (
        "turned_round_for_the_store",
        "You give the store `y` before `x`: in D's turn the condition is then the image.",
        loop_with(stored=lambda store, x, y, fake: store(y, x, fake.detach())),
    ),
    (
        "optimisers_swapped",
        "You give each player the other's optimiser.",
        loop_with(optimizers=lambda G, D, of_g, of_d: (of_d, of_g)),
    ),
    (
        "new_optimisers",
        "You make optimisers of your own: a run that goes on would lose Adam's running means.",
        loop_with(optimizers=runs.new_optimizers),
    ),
    ("one_step_short", "You take one step too few.", loop_with(counted=lambda steps: steps[:-1])),
    ("g_loss_first", "You return G's loss first; D's comes first.", loop_with(pair=lambda d, g: (g, d))),
    ("g_loss_only", "You return G's losses only; the pairs were asked for.", loop_with(pair=lambda d, g: g)),
    ("summed", "You add the two losses; they are kept apart.", loop_with(pair=lambda d, g: d + g)),
    ("last_pair", "You return the last pair only; one for each step was asked for.",
     loop_with(report=lambda losses: losses[-1:])),
    ("returned_nothing", "You forget to return the losses.", loop_with(report=lambda losses: None)),
    (
        "eval_mode",
        "You switch a network to eval mode, and it stays there; it is being trained.",
        loop_with(mode=lambda G, D: (G.eval(), D.eval())),
    ),
    (
        "train_mode",
        "You switch the networks to train mode; here that is the caller's choice.",
        loop_with(mode=lambda G, D: (G.train(), D.train())),
    ),
):  # fmt: skip
    ex.wrong(name, misconception, answer)

ex.right(loop_with(pair=lambda d, g: [d, g]))


@ex.right
def _(
    G: Any, D: Any, of_g: Any, of_d: Any, x: Tensor, y: Tensor, steps: range, batch: int,
    turn_d: Any, turn_g: Any, rate: Any, store: Any, generator: torch.Generator,
) -> list[tuple[float, float]]:  # fmt: skip
    """Batch first, one optimiser's rate after the other."""
    curve = []
    for step in steps:
        rows = torch.randint(0, x.shape[0], size=(batch,), generator=generator, device=x.device)
        pair = x.index_select(0, rows), y.index_select(0, rows)
        for optimizer in (of_d, of_g):
            for group in optimizer.param_groups:
                group.update(lr=rate(step))
        fake = G(pair[0])
        with torch.no_grad():
            earlier = store(*pair, fake.detach())
        of_d_loss = turn_d(D, of_d, *earlier)
        curve.append((of_d_loss, turn_g(D, of_g, *pair, fake)))
    return curve


ex.right(runs.batches_first)
ex.right(runs.by_numbers)

ex.background("Put the training together.", "Its parts are passed in", "In each `step` of it:")
ex.breach("`G` and `D` are the players", "optimisers_swapped")
ex.breach("`of_g` and `of_d` their optimisers", "new_optimisers")
ex.breach("`x` and `y` all conditions and images", "turned_round")
ex.breach("`steps` is a range", "counted_from_zero")
ex.breach("`steps` is a range", "one_step_short")
ex.breach("Set the learning rate of both optimisers", "rate_of_d_only")
ex.breach("to `rate(step)`", "rate_never_set")
ex.breach("for every group of their parameters", "first_group_only")
ex.breach("Draw the batch", "whole_data")
ex.breach("with `generator`", "global_random")
ex.breach("on the device of `x`", loop_with(drawn=runs.on_the_cpu))
ex.breach("These rows of `x` and `y` are the pairs", "drawn_apart")
ex.breach("one may come twice", "shuffled")
ex.breach("Make the fakes, once", "made_twice")
ex.breach("Make the fakes, once", "made_of_y")
ex.breach("`store(x, y, fake)` of the batch gives", "parted")
ex.breach("Give it the fakes without their graph", "store_with_graph")
ex.breach("D's turn comes first", "g_first")
ex.breach("with the three from the store", "store_not_used")
ex.breach("Then G's turn", "g_twice")
ex.breach("with the batch itself", "store_for_both")
ex.breach("with fakes that have their graph", "fake_without_graph")
ex.breach("Each turn returns its loss", "summed")
ex.breach("Return the list of pairs", "g_loss_first")
ex.breach("one per step", "last_pair")
ex.breach("Leave the modes of both networks", "eval_mode")
