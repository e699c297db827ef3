"""Lesson 06: a trained generator in use, with a slip that lets neighbours change an answer."""

from typing import Any

import torch
from torch import Tensor, nn

from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import StepHunt, left_behind
from lessons.lesson06.exercises._generators import ToyTranslator, use_with

ex = StepHunt(
    id="translate_new",
    lesson="06",
    title="Translate new images",
    difficulty=2,
    minutes=8,
    left_gradients=True,
    stays={"G": "it is used here, not trained"},
    spec="""
    Use a trained generator: translate the images `x`, `(N, 1, H, W)`, `batch` of them at a time, because
    more may not fit into memory. Return one tensor, like `x` and in its order, and leave `x` as it is. What
    G makes of an image must not depend on the images beside it, nor on chance. Nothing is learnt here, so
    the result carries no graph. G comes out as it went in: weights, running averages, `.grad`, who requires
    gradients, and the mode. The code below runs, and has one slip, before the loop and again after it. Find
    it and mend it.
    """,
    hints=(
        "Translate an image alone, and again together with another one. Which layers of G look at the whole "
        "batch?",
        "Frozen parameters do not learn. Batch norm and dropout ask for something else: `G.training`.",
        "`mode = G.training`, then `G.eval()`, the loop inside `with torch.no_grad():`, and `G.train(mode)`.",
    ),
    slip="Freezing is not eval mode. In train mode batch norm uses the batch's own mean, dropout draws, and "
    "the running averages move. `eval()` ends all three, and `no_grad()` saves the graph without touching a "
    "parameter.",
    slip_code="G.requires_grad_(False)",
    source="Ioffe, Szegedy 2015, sec. 3.1 (batch norm in use); the PyTorch notes on `Module.eval` and "
    "`no_grad`.",
    equivalent={
        "value.detach()": "inside `no_grad` nothing carries a graph",
        "value.float()": "everything is float32 already",
    },
)


@ex.reference
def translate_new(G: nn.Module, x: Tensor, batch: int) -> Tensor:
    """Trained G, x (N, 1, H, W), images at a time -> (N, 1, H, W); G is as before."""
    mode = G.training
    G.eval()
    with torch.no_grad():
        made = torch.cat([G(part) for part in x.split(batch)])
    G.train(mode)
    return made


@ex.bug
def _(G: nn.Module, x: Tensor, batch: int) -> Tensor:
    """Trained G, x (N, 1, H, W), images at a time -> (N, 1, H, W); G is as before."""
    G.requires_grad_(False)  # it is used here, not trained
    made = torch.cat([G(part) for part in x.split(batch)])
    G.requires_grad_(True)
    return made


@ex.symptom
def _(answer: Answer) -> str:
    x = torch.randn(4, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    alone, beside = (answer(ToyTranslator(1, drop=0.0), x, batch)[0] for batch in (1, 4))
    return (
        f"a toy generator translates four images, one at a time and all at once. The first answer differs by "
        f"up to {(alone - beside).abs().max():.2f} between the two."
    )


@ex.edges
def _() -> list[Args]:
    x = torch.randn(5, 1, 4, 5, generator=torch.Generator().manual_seed(0))
    frozen = ToyTranslator(3)
    frozen.weight.requires_grad_(False)
    return [
        (ToyTranslator(1, most=2), x, 2),
        (ToyTranslator(2), x, 5),
        (ToyTranslator(2), x, 9),
        (ToyTranslator(4, most=3).eval(), x, 3),
        (frozen, x, 2),
        (left_behind(ToyTranslator(5)), x, 1),
        (ToyTranslator(6), x[:1], 1),
        (ToyTranslator(7), x.mT, 2),  # not contiguous
    ]


@ex.inputs
def _(case: Case) -> Args:
    shape = (case.integer(2, 6), 1, case.height, case.width + 1)
    x, batch = torch.randn(shape, generator=case.generator), case.integer(1, 4)
    return ToyTranslator(10 + case.seed, most=batch).train(case.seed % 2 == 0), x, batch


for name, misconception, answer in (
    (
        "still_in_train_mode",
        "G, or a layer inside it, still runs in train mode: batch norm looks at the batch, dropout draws, "
        "and the running averages move.",
        use_with(evaluating=False),
    ),
    (
        "left_in_eval",
        "You leave G in eval mode: whoever trains on then trains with frozen averages.",
        use_with(restore=lambda G, mode: G.eval()),
    ),
    (
        "back_to_train",
        "You switch G to train mode at the end; it goes back to the mode it was in.",
        use_with(restore=lambda G, mode: G.train()),
    ),
    (
        "with_graph",
        "You keep the graph of every answer: memory grows with the number of images.",
        use_with(without_graph=False),
    ),
    (
        "thawed",
        "You unfreeze all parameters at the end, those too that were frozen before.",
        use_with(restore=lambda G, mode: G.train(mode).requires_grad_(True)),
    ),
    (
        "left_frozen",
        "You leave G frozen: whoever trains on then trains nothing.",
        use_with(restore=lambda G, mode: G.train(mode).requires_grad_(False)),
    ),
    (
        "gradients_cleared",
        "You clear G's gradients; `.grad` stays as it was.",
        use_with(restore=lambda G, mode: (G.train(mode), G.zero_grad())),
    ),
    (
        "last_part_missing",
        "You drop the images that do not fill a batch.",
        use_with(parts=lambda x, batch: x[: max(len(x) // batch * batch, 1)].split(batch)),
    ),
    (
        "too_many_at_once",
        "You give G more than `batch` images at a time. (`x.split(batch)` makes parts of `batch` images, "
        "`x.chunk(batch)` makes `batch` parts.)",
        use_with(parts=lambda x, batch: [x]),
    ),
    (
        "first_part_only",
        "You translate the first `batch` images only.",
        use_with(parts=lambda x, batch: [x[:batch]]),
    ),
    (
        "list_of_parts",
        "You return the list of parts; one tensor was asked for.",
        use_with(joined=lambda made: made),
    ),
    ("stacked", "You stack the parts on a new axis; join them along the first (`torch.cat`).",
     use_with(joined=lambda made: torch.stack([m[0] for m in made]))),
    ("reversed", "You return the images in another order.",
     use_with(joined=lambda made: torch.cat(made).flip(0))),
    ("clipped", "You change what G gives, by clipping.",
     use_with(joined=lambda made: torch.cat(made).clamp(-0.5, 0.5))),
    ("returned_nothing", "You forget to return the result.", use_with(joined=lambda made: None)),
):  # fmt: skip
    ex.wrong(name, misconception, answer)


@ex.wrong("in_place", "You write the translations into the `x` you were given.")
def _(G: Any, x: Tensor, batch: int) -> Tensor:
    x.copy_(translate_new(G, x, batch))
    return x


ex.right(use_with(parts=lambda x, batch: [x[i : i + batch] for i in range(0, len(x), batch)]))
ex.right(use_with(parts=lambda x, batch: torch.split(x, 1)))


@ex.right
@torch.no_grad()
def _(G: Any, x: Tensor, batch: int) -> Tensor:
    before = [(module, module.training) for module in G.modules()]
    G.train(False)
    try:
        parts = [G(x[start : start + batch]) for start in range(0, x.shape[0], batch)]
    finally:
        for module, mode in before:
            module.training = mode
    return torch.cat(parts, dim=0)


@ex.right
def _(G: Any, x: Tensor, batch: int) -> Tensor:
    """A copy is used, so that G need not be put back."""
    import copy

    twin = copy.deepcopy(G).eval().requires_grad_(False)
    return torch.vstack([twin(part) for part in x.split(batch)])


ex.breach("translate the images `x`", "first_part_only")
ex.breach("`batch` of them at a time", "last_part_missing")
ex.breach("`batch` of them at a time", "too_many_at_once")
ex.breach("Return one tensor, like `x`", "list_of_parts")
ex.breach("in its order", "reversed")
ex.breach("leave `x` as it is", "in_place")
ex.breach("must not depend on the images beside it", "still_in_train_mode")
ex.breach("nor on chance", use_with(evaluate=lambda G: G.norm.eval()))
ex.breach("nor on chance", use_with(evaluate=lambda G: setattr(G, "training", False)))
ex.breach("the result carries no graph", "with_graph")
ex.breach("G comes out as it went in", "left_in_eval")
ex.breach("`.grad`", "gradients_cleared")
ex.breach("who requires gradients", "thawed")
ex.breach("and the mode", "back_to_train")
ex.breach("The code below runs", "still_in_train_mode")
ex.background("Find it and mend it")
