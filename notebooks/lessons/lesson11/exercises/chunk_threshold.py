"""Lesson 11: a threshold from the reference's own chunks."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="chunk_threshold",
    lesson="11",
    title="A threshold that allows for lots",
    difficulty=3,
    minutes=12,
    spec=r"""
    How far may a window stray while nothing is wrong? Ask the reference. Cut its values, *in the order of
    time*, into chunks as long as a window (what is left over at the end is dropped, everywhere). For each
    chunk take the distance of its mean to the mean of *all other* chunks' values. The largest distance is the
    threshold. With fewer than `fewest` chunks there is no answer: return `None`. (The monitor does the same
    with the KS distances of ten features, each over its median, and the largest of the ten.)
    """,
    hints=(
        "`values[: m * window].reshape(m, window)` has a chunk per row, if the order is kept.",
        "The mean of the rest: (sum of all kept values - sum of the chunk) / (number of them - window).",
        "`(chunks.mean(1) - rest).abs().max()`, and `None` before that when `m < fewest`.",
    ),
    source="NannyML's chunk thresholds; leave-one-out, as in conformal prediction (Vovk et al. 2005).",
    equivalent={
        "value.detach()": "no gradient is asked for",
        "`rest - chunks.mean(1)`": "the absolute value forgets the sign",
        "`1` -> `-1`": "axis 1 is the last one",
    },
)


@ex.reference
def chunk_threshold(values: Tensor, window: int, fewest: int) -> Tensor | None:
    """Values (n,) in time order -> the largest distance of a chunk's mean to the rest's, or None."""
    count = len(values) // window
    if count < fewest:
        return None
    chunks = values[: count * window].reshape(count, window)
    rest = (chunks.sum() - chunks.sum(1)) / (chunks.numel() - window)
    return (chunks.mean(1) - rest).abs().max()


@ex.edges
def _() -> list[Args]:
    ramp = torch.arange(12, dtype=torch.float64)
    lots = torch.tensor([0.0, 0.0, 0.0, 5.0, 5.0, 5.0, 1.0, 1.0, 1.0, 100.0], dtype=torch.float64)
    return [
        (ramp, 3, 4),
        (ramp, 3, 5),
        (ramp, 4, 2),
        (lots, 3, 3),
        (lots, 3, 2),
        (lots, 4, 3),
        (-ramp.flip(0), 5, 2),
        (ramp[:0], 3, 2),
        (ramp[:2], 3, 2),
        (ramp * ramp, 1, 12),
        (lots, 1, 3),
        (ramp[:6] * 0 + 3, 3, 2),
        (ramp[:7].float().square(), 3, 3),
        (torch.stack([lots, -lots]).T[:, 1], 3, 3),
    ]


@ex.inputs
def _(case: Case) -> Args:
    window, count, fewest = case.integer(2, 5), case.integer(2, 7), case.integer(2, 5)
    values = case.randn(window * count + case.integer(0, window - 1))
    offsets = 3 * case.randn(count + 1).repeat_interleave(window)
    return values + offsets[: len(values)], window, fewest


def _chunks(values: Tensor, window: int) -> Tensor:
    return values[: len(values) // window * window].reshape(-1, window)


def _rest(chunks: Tensor) -> Tensor:
    return (chunks.sum() - chunks.sum(1)) / (chunks.numel() - chunks.shape[1])


def _unless(fewest: int, chunks: Tensor, value: Tensor) -> Tensor | None:
    return None if len(chunks) < fewest else value


@ex.wrong(
    "never_insufficient",
    "You give a threshold whatever the number of chunks; two chunks say nothing about how far one may stray.",
)
def _(values: Tensor, window: int, fewest: int) -> Tensor:
    chunks = _chunks(values, window)
    return (chunks.mean(1) - _rest(chunks)).abs().max()


@ex.wrong(
    "whole_reference",
    "You compare each chunk with the whole reference, itself included: it then seems nearer than it is.",
)
def _(values: Tensor, window: int, fewest: int) -> Tensor | None:
    chunks = _chunks(values, window)
    return _unless(fewest, chunks, (chunks.mean(1) - chunks.mean()).abs().max())


@ex.wrong(
    "interleaved",
    "You spread neighbours over all chunks: lots are broken up, every chunk looks alike, the threshold "
    "is far too tight.",
)
def _(values: Tensor, window: int, fewest: int) -> Tensor | None:
    count = len(values) // window
    chunks = values[: count * window].reshape(window, count).T
    return _unless(fewest, chunks, (chunks.mean(1) - _rest(chunks)).abs().max())


@ex.wrong("sorted", "You sort the values first; the order of time is what carries the lots.")
def _(values: Tensor, window: int, fewest: int) -> Tensor | None:
    chunks = _chunks(values.sort().values, window)
    return _unless(fewest, chunks, (chunks.mean(1) - _rest(chunks)).abs().max())


@ex.wrong("signed", "You take the largest difference with its sign; a chunk far below counts as well.")
def _(values: Tensor, window: int, fewest: int) -> Tensor | None:
    chunks = _chunks(values, window)
    return _unless(fewest, chunks, (chunks.mean(1) - _rest(chunks)).max())


@ex.wrong(
    "mean_distance", "You average the distances: half of all windows would be strange. Take the largest."
)
def _(values: Tensor, window: int, fewest: int) -> Tensor | None:
    chunks = _chunks(values, window)
    return _unless(fewest, chunks, (chunks.mean(1) - _rest(chunks)).abs().mean())


@ex.wrong(
    "leftovers",
    "You let the values left over at the end into the rest; they belong to no chunk and are dropped.",
)
def _(values: Tensor, window: int, fewest: int) -> Tensor | None:
    chunks = _chunks(values, window)
    rest = (values.sum() - chunks.sum(1)) / (len(values) - window)
    return _unless(fewest, chunks, (chunks.mean(1) - rest).abs().max())


@ex.wrong("at_most", "You ask for more than `fewest` chunks; exactly that many are enough.")
def _(values: Tensor, window: int, fewest: int) -> Tensor | None:
    chunks = _chunks(values, window)
    return _unless(fewest + 1, chunks, (chunks.mean(1) - _rest(chunks)).abs().max())


@ex.wrong("single_images", "You compare single values with the rest; a window is judged by its mean.")
def _(values: Tensor, window: int, fewest: int) -> Tensor | None:
    chunks = _chunks(values, window)
    return _unless(fewest, chunks, (chunks - _rest(chunks)[:, None]).abs().max())


@ex.wrong(
    "textbook",
    "You take three standard errors of independent values: with lots a window strays further than that.",
)
def _(values: Tensor, window: int, fewest: int) -> Tensor | None:
    chunks = _chunks(values, window)
    return _unless(fewest, chunks, 3 * chunks.std() / window**0.5)


@ex.wrong("zero", "You return 0 where there is no answer: then every window is strange. Say None.")
def _(values: Tensor, window: int, fewest: int) -> Tensor:
    chunks = _chunks(values, window)
    if len(chunks) < fewest:
        return torch.zeros((), dtype=values.dtype)
    return (chunks.mean(1) - _rest(chunks)).abs().max()


@ex.wrong("dropped_at_the_start", "You drop what is left over at the start; it is dropped at the end.")
def _(values: Tensor, window: int, fewest: int) -> Tensor | None:
    chunks = values[len(values) % window :].reshape(-1, window)
    return _unless(fewest, chunks, (chunks.mean(1) - _rest(chunks)).abs().max()) if len(chunks) else None


@ex.wrong("short_chunk_kept", "You keep the last chunk though it is shorter than a window; it is dropped.")
def _(values: Tensor, window: int, fewest: int) -> Tensor | None:
    chunks = list(values.split(window)) if len(values) else []
    if len(chunks) < max(fewest, 2):
        return None
    rests = [torch.cat([*chunks[:i], *chunks[i + 1 :]]) for i in range(len(chunks))]
    return torch.stack([(c.mean() - r.mean()).abs() for c, r in zip(chunks, rests, strict=True)]).max()


@ex.wrong(
    "neighbours", "You compare each chunk with the one before it; the rest is *all* other chunks together."
)
def _(values: Tensor, window: int, fewest: int) -> Tensor | None:
    chunks = _chunks(values, window)
    return None if len(chunks) < max(fewest, 2) else chunks.mean(1).diff().abs().max()


@ex.wrong(
    "between_chunks", "You take the largest distance between two chunks; each is compared with the rest."
)
def _(values: Tensor, window: int, fewest: int) -> Tensor | None:
    chunks = _chunks(values, window)
    return _unless(fewest, chunks, chunks.mean(1).max() - chunks.mean(1).min()) if len(chunks) else None


@ex.wrong("median_of_the_rest", "You take the median of the rest; its mean was asked for.")
def _(values: Tensor, window: int, fewest: int) -> Tensor | None:
    chunks = _chunks(values, window)
    if len(chunks) < fewest:
        return None
    rests = [torch.cat([chunks[:i], chunks[i + 1 :]]).median() for i in range(len(chunks))]
    return (chunks.mean(1) - torch.stack(rests)).abs().max()


@ex.wrong("all_distances", "You return the distance of every chunk; the threshold is the largest.")
def _(values: Tensor, window: int, fewest: int) -> Tensor | None:
    chunks = _chunks(values, window)
    return _unless(fewest, chunks, (chunks.mean(1) - _rest(chunks)).abs())


@ex.wrong("smallest", "You take the smallest distance; the threshold is the largest.")
def _(values: Tensor, window: int, fewest: int) -> Tensor | None:
    chunks = _chunks(values, window)
    return _unless(fewest, chunks, (chunks.mean(1) - _rest(chunks)).abs().min()) if len(chunks) else None


@ex.wrong("values_counted", "You compare `fewest` with the number of values; it is a number of chunks.")
def _(values: Tensor, window: int, fewest: int) -> Tensor | None:
    chunks = _chunks(values, window)
    if len(values) < fewest or not len(chunks):
        return None
    return (chunks.mean(1) - _rest(chunks)).abs().max()


@ex.wrong("infinite", "You return infinity where there is no answer; say None.")
def _(values: Tensor, window: int, fewest: int) -> Tensor:
    chunks = _chunks(values, window)
    if len(chunks) < fewest:
        return torch.full((), float("inf"), dtype=values.dtype)
    return (chunks.mean(1) - _rest(chunks)).abs().max()


@ex.right
def _(values: Tensor, window: int, fewest: int) -> Tensor | None:
    chunks = list(values[: len(values) // window * window].split(window))
    if len(chunks) < fewest:
        return None
    rests = [torch.cat([*chunks[:i], *chunks[i + 1 :]]) for i in range(len(chunks))]
    return torch.stack([(c.mean() - r.mean()).abs() for c, r in zip(chunks, rests, strict=True)]).max()


@ex.right
def _(values: Tensor, window: int, fewest: int) -> Tensor | None:
    chunks = _chunks(values, window)
    if len(chunks) < fewest:
        return None
    m = len(chunks)
    return (chunks.mean(1) - chunks.mean()).abs().max() * m / (m - 1)


@ex.right
def _(values: Tensor, window: int, fewest: int) -> Tensor | None:
    means = values.unfold(0, window, window).mean(1) if len(values) >= window else values[:0]
    if len(means) < fewest:
        return None
    others = (means.sum() - means) / (len(means) - 1)
    return torch.maximum((means - others).max(), (others - means).max())


@ex.right
def _(values: Tensor, window: int, fewest: int) -> Tensor | None:
    count = len(values) // window
    if count < fewest:
        return None
    number = torch.arange(count * window, device=values.device) // window  # the chunk of every value
    kept, far = values[: count * window], []
    for chunk in range(count):
        inside = number == chunk
        far.append((kept[inside].mean() - kept[~inside].mean()).abs())
    return torch.stack(far).amax()


ex.background("How far may a window stray", "The monitor does the same")
ex.breach("Ask the reference.", "textbook")
ex.breach("Cut its values, *in the order of time*", "interleaved")
ex.breach("what is left over at the end is dropped, everywhere", "leftovers")
ex.breach("For each chunk take the distance of its mean", "whole_reference")
ex.breach("The largest distance is the threshold.", "mean_distance")
ex.breach("With fewer than `fewest` chunks there is no answer", "never_insufficient")
