"""Lesson 16: every place of an image looks at the words of its caption."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips
from lessons.lesson16.exercises.word_weights import word_weights

ex = Exercise(
    id="cross_attention",
    lesson="16",
    title="Places look at words",
    difficulty=3,
    minutes=12,
    spec=r"""
    A place of a feature map has $C$ numbers, and a word has $D$. Each place has a *query*: `w_query` `(A, C)`
    times its numbers. Each word has a *key*, `w_key` `(A, D)` times its numbers, and a *value*, `w_value`
    `(C, D)` times its numbers. Place $i$ fits word $j$ with the score $q_i \cdot k_j / \sqrt A$. The scores
    become weights with `word_weights(scores, real)`, so that padding counts nothing, and the place gets

    $$x_i + \sum_j w_{ij}\, v_j .$$

    `maps` is `(B, C, H, W)`, `words` `(B, L, D)`, `real` `(B, L)` is True for words. Places count row by row.
    Return the maps in their own shape. Every image looks at its own caption. Gradients flow to the maps, to
    the words and to all three matrices; `maps` stays as it is.
    """,
    hints=(
        "Make a list of places first: `maps.flatten(2).mT` is (B, N, C). A matrix (A, C) acts on it by "
        "`@ w_query.T`.",
        "It is lesson 08's attention, but keys and values come from the words: "
        "`scores = query @ key.mT / len(w_query) ** 0.5` is (B, N, L).",
        "`seen = word_weights(scores, real) @ value` is (B, N, C); "
        "back to maps: `seen.mT.reshape(maps.shape)`.",
    ),
    source="Vaswani et al. 2017, eq. 1; Rombach et al. 2022, section 3.3 (the words as keys and values).",
    gradients=("maps", "words", "w_query", "w_key", "w_value"),
    equivalent={"`2` -> `-2`": "of four axes, the last two start at 2 and at -2"},
)


@ex.reference
def cross_attention(
    maps: Tensor, words: Tensor, real: Tensor, w_query: Tensor, w_key: Tensor, w_value: Tensor
) -> Tensor:
    """maps (B, C, H, W), words (B, L, D), real (B, L) bool; (A, C), (A, D), (C, D) -> maps (B, C, H, W)."""
    query = maps.flatten(2).mT @ w_query.T  # (B, N, A)
    key, value = words @ w_key.T, words @ w_value.T  # (B, L, A), (B, L, C)
    scores = query @ key.mT / len(w_query) ** 0.5
    seen = word_weights(scores, real) @ value
    return maps + seen.mT.reshape(maps.shape)


def _known(length: int, *counts: int) -> Tensor:
    return torch.arange(length)[None] < torch.tensor(counts)[:, None]


@ex.edges
def _() -> list[Args]:
    draw = torch.Generator().manual_seed(3)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw)

    maps, words = normal(2, 3, 2, 4), normal(2, 5, 2)
    weights = normal(4, 3), normal(4, 2), normal(3, 2)
    silent = torch.zeros(3, 2)  # nothing is added, yet the matrix must learn
    square = normal(3, 3), normal(3, 3), normal(3, 3)  # where sizes agree, a wrong order does not stop
    return [
        (maps, words, _known(5, 3, 5), *weights),
        (maps, words, _known(5, 1, 2), *weights),
        (maps, words, _known(5, 4, 2), *weights[:2], silent),
        (maps[:1], words[:1], _known(5, 5), *weights),
        (maps.mT, words, _known(5, 2, 4), *weights),  # not contiguous
        (maps[:, :, :1, :1], words, _known(5, 3, 3), *weights),
        (normal(2, 3, 1, 3), normal(2, 3, 3), _known(3, 2, 3), *square),
        (normal(3, 3, 2, 2), normal(3, 3, 3), _known(3, 3, 1, 2), *square),
        (maps, words.flip(1), _known(5, 3, 5).flip(1), *weights),  # padding in front
        (maps.double(), words.double(), _known(5, 4, 3), *(w.double() for w in weights)),
    ]


@ex.inputs
def _(case: Case) -> Args:
    channels, length, width, asked = (case.integer(2, 5) for _ in range(4))
    maps = case.randn(case.batch, channels, case.integer(1, 3), case.width)
    counts = [case.integer(1, length) for _ in range(case.batch)]
    counts[0] = max(1, length - 1)
    matrices = [case.randn(*shape) for shape in ((asked, channels), (asked, width), (channels, width))]
    return maps, case.randn(case.batch, length, width), _known(length, *counts), *matrices


def _scores(maps: Tensor, words: Tensor, w_query: Tensor, w_key: Tensor) -> Tensor:
    query = torch.einsum("bchw,ac->bhwa", maps, w_query).flatten(1, 2)
    key = torch.einsum("bld,ad->bla", words, w_key)
    return torch.einsum("bna,bla->bnl", query, key) / len(w_query) ** 0.5


def _seen(maps: Tensor, weights: Tensor, value: Tensor) -> Tensor:
    return (weights @ value).mT.reshape(maps.shape)


Weigh = Callable[[Tensor, Tensor, int], Tensor]
"""Scores (B, N, L), real (B, L), number A -> weights."""


def _weighing(weigh: Weigh) -> Answer:
    """The reference, with other weights."""

    def answer(maps: Tensor, words: Tensor, real: Tensor, wq: Tensor, wk: Tensor, wv: Tensor) -> Tensor:
        return maps + _seen(maps, weigh(_scores(maps, words, wq, wk), real, len(wq)), words @ wv.T)

    return answer


for name, misconception, weigh in (
    (
        "padding_attended",
        "You take a plain softmax, so padding gets weight too: use `word_weights` with `real`.",
        lambda scores, real, a: scores.softmax(-1),
    ),
    (
        "padding_zeroed",
        "You set the weights of padding to 0 after a plain softmax: the rest no longer adds up to 1.",
        lambda scores, real, a: scores.softmax(-1) * real[:, None],
    ),
    (
        "unscaled",
        r"You leave out the division by the root of A.",
        lambda scores, real, a: word_weights(scores * a**0.5, real),
    ),
    (
        "scaled_by_a",
        "You divide by A itself; its root is asked for.",
        lambda scores, real, a: word_weights(scores / a**0.5, real),
    ),
    (
        "scaled_twice",
        "You multiply by the root of A instead of dividing by it.",
        lambda scores, real, a: word_weights(scores * a, real),
    ),
    (
        "no_softmax",
        "You use the scores as weights: they may be negative and of any size.",
        lambda scores, real, a: scores.masked_fill(~real[:, None], 0.0),
    ),
    (
        "over_the_places",
        "You let the places share the weight of each word; each place shares its own weight among the words.",
        lambda scores, real, a: scores.softmax(1) * real[:, None],
    ),
    (
        "mean_of_the_words",
        "You give every place the mean of the words; each place is to choose by its scores.",
        lambda scores, real, a: word_weights(0 * scores, real),
    ),
    (
        "first_mask_for_all",
        "You use the first caption's `real` for the whole batch.",
        lambda scores, real, a: word_weights(scores, real[:1].expand_as(real)),
    ),
    (
        "padding_only",
        "You look at the padding instead of the words: `real` is True for words.",
        lambda scores, real, a: word_weights(scores, ~real),
    ),
    (
        "detached_weights",
        "You detach the weights: the matrices of queries and keys would never learn where to look.",
        lambda scores, real, a: word_weights(scores, real).detach(),
    ),
    (
        "only_the_best_word",
        "You look at the best word only; the weights share.",
        lambda scores, real, a: F.one_hot(word_weights(scores, real).argmax(-1), real.shape[1]).to(scores),
    ),
):
    ex.wrong(name, misconception, _weighing(weigh))


@ex.wrong(
    "maps_dropped", "You return what the places have seen and drop the maps: the image itself would be lost."
)
def _(maps: Tensor, words: Tensor, real: Tensor, wq: Tensor, wk: Tensor, wv: Tensor) -> Tensor:
    return _seen(maps, word_weights(_scores(maps, words, wq, wk), real), words @ wv.T)


@ex.wrong("maps_instead", "You average the maps with what was seen; it is added, and the maps stay whole.")
def _(maps: Tensor, words: Tensor, real: Tensor, wq: Tensor, wk: Tensor, wv: Tensor) -> Tensor:
    return (maps + _seen(maps, word_weights(_scores(maps, words, wq, wk), real), words @ wv.T)) / 2


@ex.wrong(
    "reshaped_without_turning",
    "You reshape (B, N, C) to (B, C, H, W) without moving the axes back: channels and places get mixed up.",
)
def _(maps: Tensor, words: Tensor, real: Tensor, wq: Tensor, wk: Tensor, wv: Tensor) -> Tensor:
    weights = word_weights(_scores(maps, words, wq, wk), real)
    return maps + (weights @ (words @ wv.T)).reshape(maps.shape)


@ex.wrong(
    "places_column_by_column",
    "You count the places column by column; `flatten(2)` goes through them row by row.",
)
def _(maps: Tensor, words: Tensor, real: Tensor, wq: Tensor, wk: Tensor, wv: Tensor) -> Tensor:
    weights = word_weights(_scores(maps.mT, words, wq, wk), real)
    return maps + _seen(maps, weights, words @ wv.T)


@ex.wrong("places_look_at_places", "Keys of yours come from the maps; here they come from the words.")
def _(maps: Tensor, words: Tensor, real: Tensor, wq: Tensor, wk: Tensor, wv: Tensor) -> Tensor:
    query = maps.flatten(2).mT @ wq.T
    shared = maps.flatten(2).mT
    seen = (query @ query.mT / len(wq) ** 0.5).softmax(-1) @ shared
    return maps + seen.mT.reshape(maps.shape) + 0 * ((words @ wk.T).sum() + (words @ wv.T).sum())


@ex.wrong("keys_are_values", "You use the values as keys too; the keys have a matrix of their own.")
def _(maps: Tensor, words: Tensor, real: Tensor, wq: Tensor, wk: Tensor, wv: Tensor) -> Tensor:
    value = words @ wv.T
    scores = maps.flatten(2).mT @ value.mT / len(wq) ** 0.5
    return maps + _seen(maps, word_weights(scores, real), value)


@ex.wrong("first_caption_for_all", "You let every image look at the first caption; each looks at its own.")
def _(maps: Tensor, words: Tensor, real: Tensor, wq: Tensor, wk: Tensor, wv: Tensor) -> Tensor:
    first, known = words[:1].expand_as(words), real[:1].expand_as(real)
    return maps + _seen(maps, word_weights(_scores(maps, first, wq, wk), known), first @ wv.T)


@ex.wrong(
    "in_place",
    "You add to the maps that you were given (`+=`); make new ones, for someone else may need the old.",
)
def _(maps: Tensor, words: Tensor, real: Tensor, wq: Tensor, wk: Tensor, wv: Tensor) -> Tensor:
    seen = _seen(maps, word_weights(_scores(maps, words, wq, wk), real), words @ wv.T)
    with torch.no_grad():
        maps += seen
    return maps


@ex.wrong(
    "shortcut_at_zero",
    "You return the maps at once where `w_value` is 0: then it never gets a gradient and stays 0 for ever.",
)
def _(maps: Tensor, words: Tensor, real: Tensor, wq: Tensor, wk: Tensor, wv: Tensor) -> Tensor:
    if not wv.any():
        return maps.clone()
    return maps + _seen(maps, word_weights(_scores(maps, words, wq, wk), real), words @ wv.T)


common_slips(ex, "returned_nothing", "graph_cut")


@ex.right
def _(maps: Tensor, words: Tensor, real: Tensor, wq: Tensor, wk: Tensor, wv: Tensor) -> Tensor:
    return maps + _seen(maps, word_weights(_scores(maps, words, wq, wk), real), words @ wv.T)


@ex.right
def _(maps: Tensor, words: Tensor, real: Tensor, wq: Tensor, wk: Tensor, wv: Tensor) -> Tensor:
    """By PyTorch's own attention, which divides by the root of A."""
    query = maps.permute(0, 2, 3, 1).flatten(1, 2) @ wq.T
    seen = F.scaled_dot_product_attention(query, words @ wk.T, words @ wv.T, attn_mask=real[:, None])
    return maps + seen.unflatten(1, maps.shape[2:]).permute(0, 3, 1, 2)


@ex.right
def _(maps: Tensor, words: Tensor, real: Tensor, wq: Tensor, wk: Tensor, wv: Tensor) -> Tensor:
    """With 1 x 1 convolutions for the queries, and linear layers for the words."""
    query = F.conv2d(maps, wq[:, :, None, None]).flatten(2)  # (B, A, N)
    key, value = F.linear(words, wk), F.linear(words, wv)
    scores = torch.bmm(key, query) / query.shape[1] ** 0.5  # (B, L, N)
    weights = scores.masked_fill(~real[:, :, None], -torch.inf).softmax(dim=1)
    return torch.add(maps, torch.bmm(value.mT, weights).reshape(maps.shape))


@ex.right
def _(maps: Tensor, words: Tensor, real: Tensor, wq: Tensor, wk: Tensor, wv: Tensor) -> Tensor:
    """Caption by caption, over its words alone: then no mask is needed."""
    images = []
    for image, caption, known in zip(maps, words, real, strict=True):
        said = caption[known]
        scores = (wk @ said.T).T @ (wq @ image.flatten(1)) / wq.shape[0] ** 0.5  # (words, N)
        images.append(image + (wv @ (said.T @ scores.softmax(0))).reshape(image.shape))
    return torch.stack(images)


@ex.right
def _(maps: Tensor, words: Tensor, real: Tensor, wq: Tensor, wk: Tensor, wv: Tensor) -> Tensor:
    """The two matrices of the score multiplied first, and the weights' matrix last."""
    batch, channels, height, width = maps.shape
    places = maps.reshape(batch, channels, height * width).permute(0, 2, 1)
    weights = word_weights(places @ (wq.T @ wk) @ words.mT * len(wk) ** -0.5, real)
    seen = (weights @ words) @ wv.T
    return maps + seen.permute(0, 2, 1).reshape(batch, channels, height, width)


ex.background("A place of a feature map has $C$ numbers", "`maps` is `(B, C, H, W)`")
ex.background("Each place has a *query*")
ex.breach("`w_query` `(A, C)` times its numbers", "places_column_by_column")
ex.breach("Each word has a *key*, `w_key`", "places_look_at_places")
ex.breach("Each word has a *key*", "keys_are_values")
ex.breach("Place $i$ fits word $j$ with the score", "unscaled")
ex.breach("The scores become weights with", "padding_attended")
ex.breach("and the place gets", "maps_dropped")
ex.breach(r"$$x_i + ", "maps_instead")
ex.breach("Places count row by row", "places_column_by_column")
ex.breach("Return the maps in their own shape", "reshaped_without_turning")
ex.breach("Every image looks at its own caption", "first_caption_for_all")
ex.breach("Gradients flow to the maps", "shortcut_at_zero")
ex.breach("`maps` stays as it is", "in_place")
