"""Lesson 16: attention weights for captions of unequal length."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import BugHunt
from gantrans.teaching.exercises.slips import common_slips

ex = BugHunt(
    id="word_weights",
    lesson="16",
    title="Padding is no word",
    difficulty=2,
    minutes=8,
    spec=r"""
    Captions in a batch are made equally long with padding. `real` `(B, L)` is True where caption $b$ has a
    word and False where it has padding; at least one place is real. `scores` `(B, N, L)` says how well each
    of $N$ queries fits each place of its own caption. Turn the scores into weights `(B, N, L)`: a softmax
    over the words,

    $$w_{bnl} = \frac{\exp(\text{scores}_{bnl})}{\sum_{m\ \text{real}} \exp(\text{scores}_{bnm})},$$

    and exactly 0 at padding. So the weights of each query add up to 1, and a caption gives the same weights
    however far it was padded. Leave `scores` as it is; its gradient must come back. The code below runs, and
    has one slip. Find it and mend it.
    """,
    hints=(
        "Work out one row by hand: scores 0 and 0, the second place is padding. Which weights are right?",
        "A score of 0 is not a weight of 0. Which score has the exponential 0?",
        "`scores.masked_fill(~real[:, None], float('-inf'))` puts minus infinity wherever there is no word.",
    ),
    source="Vaswani et al. 2017, section 3.2.3 (masking out by minus infinity).",
    slip="The code gives padding the score 0, and exp(0) is 1: every place of padding counts like a word "
    "that fits neither well nor badly.",
    slip_code="scores * real[:, None]",
    gradients=("scores",),
)


@ex.reference
def word_weights(scores: Tensor, real: Tensor) -> Tensor:
    """scores (B, N, L), real (B, L) bool, one True or more a row -> weights (B, N, L), rows add up to 1."""
    kept = scores.masked_fill(~real[:, None], float("-inf"))
    return kept.softmax(dim=-1)


@ex.bug
def _(scores: Tensor, real: Tensor) -> Tensor:
    """scores (B, N, L), real (B, L) bool, one True or more a row -> weights (B, N, L), rows add up to 1."""
    kept = scores * real[:, None]
    return kept.softmax(dim=-1)


@ex.symptom
def _(answer: Answer) -> str:
    shares = []
    for length in (4, 14):
        real = torch.arange(length)[None] < 3
        shares.append(float(answer(torch.zeros(1, 1, length), real)[..., 3:].sum()))
    return (
        f"three words of equal score, padded to 4 places, leave {shares[0]:.0%} of the weight to padding, "
        f"and padded to 14 places {shares[1]:.0%}. So one long caption in a batch weakens the words "
        "of all the others."
    )


def _real(*rows: str) -> Tensor:
    """ "110" -> True, True, False."""
    return torch.tensor([[place == "1" for place in row] for row in rows])


@ex.edges
def _() -> list[Args]:
    ramp = torch.arange(24.0).view(2, 3, 4) / 5
    return [
        (torch.zeros(1, 1, 2), _real("10")),
        (torch.zeros(1, 2, 4), _real("1110")),
        (ramp, _real("1100", "1110")),
        (-ramp, _real("1000", "1111")),
        (ramp.flip(2) - 20, _real("1110", "1000")),
        (ramp.mT.contiguous().mT, _real("0110", "1001")),  # padding need not be at the end
        (torch.tensor([[[1.0, -20.0, 25.0], [-15.0, -16.0, 30.0]]]), _real("110")),
        (ramp[:, :, :3].double(), _real("111", "110")),
        (torch.full((2, 4, 4), 3.0), _real("1100", "1111")),
    ]


@ex.inputs
def _(case: Case) -> Args:
    length = case.integer(2, 7)
    words = torch.tensor([case.integer(1, length) for _ in range(case.batch)])
    real = torch.arange(length)[None] < words[:, None]
    real[0] = torch.arange(length) < max(1, length - 2)
    return 3 * case.randn(case.batch, case.integer(1, 5), length), real


def _masked(scores: Tensor, real: Tensor) -> Tensor:
    return scores.masked_fill(~real[:, None], float("-inf"))


for name, misconception, answer in (
    (
        "still_zero",
        "You still give padding the score 0, and exp(0) is 1: it counts like a word.",
        lambda scores, real: torch.where(real[:, None], scores, torch.zeros_like(scores)).softmax(-1),
    ),
    (
        "no_mask",
        "You do not use `real`: padding gets weights like words.",
        lambda scores, real: scores.softmax(-1),
    ),
    (
        "zeroed_afterwards",
        "You set the weights of padding to 0 only after the softmax: the others no longer add up to 1.",
        lambda scores, real: scores.softmax(-1) * real[:, None],
    ),
    (
        "zeroed_twice",
        "You mask twice, but the softmax has already shared its 1 with the padding: rows do not add up to 1.",
        lambda scores, real: (scores * real[:, None]).softmax(-1) * real[:, None],
    ),
    (
        "not_low_enough",
        "Your score for padding is low, but words can have a lower one; only minus infinity is below all.",
        lambda scores, real: scores.masked_fill(~real[:, None], -10.0).softmax(-1),
    ),
    (
        "one_lower",
        "You make the score of padding only a little lower than it was; its weight has to be exactly 0.",
        lambda scores, real: (scores - 5.0 * ~real[:, None]).softmax(-1),
    ),
    (
        "plus_infinity",
        "You have the sign of the infinity wrong: padding would get all the weight, and that is no number.",
        lambda scores, real: scores.masked_fill(~real[:, None], float("inf")).softmax(-1),
    ),
    (
        "padding_only",
        "You mask the words instead of the padding: `real` is True where there is a word.",
        lambda scores, real: scores.masked_fill(real[:, None], float("-inf")).softmax(-1),
    ),
    (
        "over_the_queries",
        "You let the softmax run over the queries; it is the words of a caption that share the weight of 1.",
        lambda scores, real: scores.softmax(1).masked_fill(~real[:, None], 0.0),
    ),
    (
        "first_caption_for_all",
        "You use the first caption's mask for the whole batch; each caption has its own.",
        lambda scores, real: _masked(scores, real[:1].expand_as(real)).softmax(-1),
    ),
    (
        "equal_weights",
        "You share the weight equally among the words; the scores say which of them counts more.",
        lambda scores, real: (real[:, None] / real.sum(1)[:, None, None]).to(scores) + 0 * scores,
    ),
    (
        "logarithm",
        "You return logarithms of the weights (`log_softmax`); the weights themselves were asked for.",
        lambda scores, real: F.log_softmax(_masked(scores, real), dim=-1),
    ),
    (
        "not_exponential",
        "You divide the scores by their sum; a softmax takes exponentials first, so nothing is negative.",
        lambda scores, real: (scores * real[:, None]) / (scores * real[:, None]).sum(-1, keepdim=True),
    ),
    (
        "hardest",
        "You give all the weight to the best word; a softmax shares it.",
        lambda scores, real: (
            F.one_hot(_masked(scores, real).argmax(-1), scores.shape[-1]).to(scores) + 0 * scores
        ),
    ),
    (
        "sharper",
        "You divide the scores, or multiply them, before the softmax; they are finished as they come.",
        lambda scores, real: _masked(scores / scores.shape[-1] ** 0.5, real).softmax(-1),
    ),
):
    ex.wrong(name, misconception, answer)


@ex.wrong(
    "in_place",
    "You change the scores that you were given; make new ones (`masked_fill`, not `masked_fill_`).",
)
def _(scores: Tensor, real: Tensor) -> Tensor:
    with torch.no_grad():
        scores.masked_fill_(~real[:, None], -1e9)
    return scores.softmax(-1)


@ex.wrong("cut_off", "You cut the padding off; the result has the shape of the scores, with 0 at padding.")
def _(scores: Tensor, real: Tensor) -> Tensor:
    longest = int(real.sum(1).max())
    return _masked(scores, real)[..., :longest].softmax(-1)


@ex.wrong(
    "whole_row",
    "You let one softmax run over all queries and words together; the row of each query adds up to 1.",
)
def _(scores: Tensor, real: Tensor) -> Tensor:
    return _masked(scores, real).flatten(1).softmax(-1).view_as(scores)


common_slips(ex, "graph_cut", "returned_nothing")


@ex.right
def _(scores: Tensor, real: Tensor) -> Tensor:
    return torch.where(real[:, None, :], scores, -torch.inf).softmax(-1)


@ex.right
def _(scores: Tensor, real: Tensor) -> Tensor:
    """A mask that is added, as in most libraries."""
    mask = torch.zeros_like(real, dtype=scores.dtype)
    mask[~real] = float("-inf")
    return torch.softmax(scores + mask.unsqueeze(1), dim=2)


@ex.right
def _(scores: Tensor, real: Tensor) -> Tensor:
    """Mended after the softmax: what padding took is given back."""
    kept = scores * real[:, None]
    weights = kept.softmax(dim=-1) * real[:, None]
    return weights / weights.sum(dim=-1, keepdim=True)


@ex.right
def _(scores: Tensor, real: Tensor) -> Tensor:
    lowest = torch.finfo(scores.dtype).min
    return F.softmax(scores.masked_fill(real.logical_not().unsqueeze(1), lowest), dim=-1)


@ex.right
def _(scores: Tensor, real: Tensor) -> Tensor:
    exponentials = torch.exp(scores) * real[:, None].to(scores.dtype)
    return exponentials / exponentials.sum(2, keepdim=True)


@ex.right
def _(scores: Tensor, real: Tensor) -> Tensor:
    rows = []
    for row, known in zip(scores, real, strict=True):
        places = known.nonzero().flatten()
        rows.append(torch.zeros_like(row).index_copy(1, places, row[:, places].softmax(1)))
    return torch.stack(rows)


@ex.right
def _(scores: Tensor, real: Tensor) -> Any:
    far = 1e9 * (1 - real.to(scores.dtype))[:, None]
    return (scores - far).softmax(-1)


ex.background("Captions in a batch are made equally long", "`scores` `(B, N, L)` says how well")
ex.background("The code below runs", "Find it and mend it")
ex.breach("`real` `(B, L)` is True where", "padding_only")
ex.breach("Turn the scores into weights", "not_exponential")
ex.breach(r"$$w_{bnl} = ", "over_the_queries")
ex.breach("and exactly 0 at padding", "one_lower")
ex.breach("So the weights of each query add up to 1", "zeroed_afterwards")
ex.breach("a caption gives the same weights", "still_zero")
ex.breach("Leave `scores` as it is", "in_place")
ex.breach("its gradient must come back", "graph_cut")
