"""Lesson 12: how sure are we that the challenger is better, if images come in families?"""

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="cluster_bound",
    lesson="12",
    title="A lower bound that allows for layouts",
    difficulty=4,
    minutes=15,
    spec="""
    `differences` holds, for each held-out image, the challenger's quality minus the champion's; `cluster`
    says which layout (0, 1, ..., G - 1) the image shows. `drawn` are resamples: each row holds G numbers of
    layouts, drawn with replacement. A resample consists of all images of its layouts, a layout that was drawn
    twice twice. Return the `alpha` quantile of the resamples' means (over images), linearly interpolated.
    Tensors that you make must be on the device of `differences`.
    """,
    hints=(
        "Sums and numbers of images per layout are all you need: `zeros(G).index_add(0, cluster, ...)`.",
        "The mean of a resample is the sum of its layouts' sums over the sum of their numbers of images.",
        "`(sums[drawn].sum(1) / sizes[drawn].sum(1)).quantile(alpha)`.",
    ),
    source="Efron and Tibshirani 1993, ch. 8 and 13; Field and Welsh 2007, “Bootstrapping clustered data”.",
    equivalent={
        "value.detach()": "a bound is a number to decide by; nobody takes its gradient",
        "value.float()": "numbers of images are whole and small: exact in float32",
        "`1` -> `-1`": "of two axes the last is 1 and -1",
        "`0` -> `-1`": "there is one axis",
    },
)


@ex.reference
def cluster_bound(differences: Tensor, cluster: Tensor, drawn: Tensor, alpha: float) -> Tensor:
    """differences (N,), cluster (N,) int64, drawn (R, G) int64, alpha in (0, 1) -> scalar lower bound."""
    groups = drawn.shape[1]
    sums = differences.new_zeros(groups).index_add(0, cluster, differences)
    sizes = differences.new_zeros(groups).index_add(0, cluster, torch.ones_like(differences))
    means = sums[drawn].sum(1) / sizes[drawn].sum(1)
    return means.quantile(alpha)


@ex.edges
def _() -> list[Args]:
    values = torch.tensor([1.0, 3.0, -2.0, 0.0, 5.0], dtype=torch.float64)
    cluster = torch.tensor([0, 0, 1, 2, 2])
    drawn = torch.tensor([[0, 1, 2], [0, 0, 1], [1, 1, 1], [2, 0, 1], [2, 2, 0]])
    uneven = torch.tensor([0, 0, 0, 1, 2])
    return [
        (values, cluster, drawn, 0.25),
        (values, uneven, drawn, 0.25),
        (values, cluster.flip(0), drawn, 0.1),
        (values, uneven, drawn[:1], 0.01),
        (values, cluster, drawn, 0.5),
        (values, cluster, drawn[:2], 0.5),
        (values, cluster, drawn[[2, 2, 2]], 0.05),
        (-values, cluster.roll(2), drawn.flip(1), 0.9),
        (values.float(), uneven.flip(0), drawn, 0.1),
    ]


@ex.inputs
def _(case: Case) -> Args:
    groups = case.integer(3, 6)
    extra = torch.randint(groups, (case.integer(2, 9),), generator=case.generator)
    cluster = torch.cat([torch.arange(groups), extra])
    drawn = torch.randint(groups, (case.integer(8, 30), groups), generator=case.generator)
    alpha = case.choice((0.01, 0.05, 0.1))
    return case.randn(len(cluster)), cluster, drawn, alpha


def _groups(differences: Tensor, cluster: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor]:
    here = torch.nn.functional.one_hot(cluster, drawn.shape[1]).to(differences.dtype)
    return differences @ here, here.sum(0)


def _bound(differences: Tensor, cluster: Tensor, drawn: Tensor, alpha: float) -> Tensor:
    sums, sizes = _groups(differences, cluster, drawn)
    return (sums[drawn].sum(1) / sizes[drawn].sum(1)).quantile(alpha)


@ex.wrong(
    "images_resampled",
    "You resample images: images of one layout say nearly the same, so the bound is far too confident.",
)
def _(differences: Tensor, cluster: Tensor, drawn: Tensor, alpha: float) -> Tensor:
    return differences[drawn].mean(1).quantile(alpha)


@ex.wrong(
    "mean_of_means",
    "You average the layouts' means: a layout with one image would weigh as much as one with ten.",
)
def _(differences: Tensor, cluster: Tensor, drawn: Tensor, alpha: float) -> Tensor:
    sums, sizes = _groups(differences, cluster, drawn)
    return (sums / sizes)[drawn].mean(1).quantile(alpha)


@ex.wrong("upper_bound", "You take the upper bound: the question is how small the gain may be.")
def _(differences: Tensor, cluster: Tensor, drawn: Tensor, alpha: float) -> Tensor:
    return _bound(differences, cluster, drawn, 1 - alpha)


@ex.wrong("two_sided", "You halve alpha: that is for an interval with two ends; here one end is asked.")
def _(differences: Tensor, cluster: Tensor, drawn: Tensor, alpha: float) -> Tensor:
    return _bound(differences, cluster, drawn, alpha / 2)


@ex.wrong("no_bound", "You return the mean itself: of equal challengers half have a mean above 0.")
def _(differences: Tensor, cluster: Tensor, drawn: Tensor, alpha: float) -> Tensor:
    return differences.mean()


@ex.wrong(
    "each_once",
    "You take a layout that was drawn twice only once: then the resamples hardly vary.",
)
def _(differences: Tensor, cluster: Tensor, drawn: Tensor, alpha: float) -> Tensor:
    sums, sizes = _groups(differences, cluster, drawn)
    rows = [row.unique() for row in drawn]
    return torch.stack([sums[row].sum() / sizes[row].sum() for row in rows]).quantile(alpha)


@ex.wrong(
    "all_images_counted",
    "You divide by the number of all images; a resample has its own number of images.",
)
def _(differences: Tensor, cluster: Tensor, drawn: Tensor, alpha: float) -> Tensor:
    sums, _ = _groups(differences, cluster, drawn)
    return (sums[drawn].sum(1) / len(differences)).quantile(alpha)


@ex.wrong("worst_case", "You take the smallest resample: with more resamples it sinks without end.")
def _(differences: Tensor, cluster: Tensor, drawn: Tensor, alpha: float) -> Tensor:
    return _bound(differences, cluster, drawn, 0.0)


@ex.wrong("sign_turned", "You subtract the other way round: a better challenger then looks worse.")
def _(differences: Tensor, cluster: Tensor, drawn: Tensor, alpha: float) -> Tensor:
    return _bound(-differences, cluster, drawn, alpha)


@ex.wrong(
    "not_interpolated",
    "You take the resample at or below the quantile; between two of them interpolate linearly.",
)
def _(differences: Tensor, cluster: Tensor, drawn: Tensor, alpha: float) -> Tensor:
    sums, sizes = _groups(differences, cluster, drawn)
    return (sums[drawn].sum(1) / sizes[drawn].sum(1)).quantile(alpha, interpolation="lower")


@ex.wrong(
    "nearest", "You take the resample nearest to the quantile; between two of them interpolate linearly."
)
def _(differences: Tensor, cluster: Tensor, drawn: Tensor, alpha: float) -> Tensor:
    sums, sizes = _groups(differences, cluster, drawn)
    return (sums[drawn].sum(1) / sizes[drawn].sum(1)).quantile(alpha, interpolation="nearest")


@ex.wrong(
    "next_above", "You take the resample at or above the quantile; between two of them interpolate linearly."
)
def _(differences: Tensor, cluster: Tensor, drawn: Tensor, alpha: float) -> Tensor:
    sums, sizes = _groups(differences, cluster, drawn)
    return (sums[drawn].sum(1) / sizes[drawn].sum(1)).quantile(alpha, interpolation="higher")


@ex.wrong("all_means", "You return the mean of every resample; their `alpha` quantile was asked for.")
def _(differences: Tensor, cluster: Tensor, drawn: Tensor, alpha: float) -> Tensor:
    sums, sizes = _groups(differences, cluster, drawn)
    return sums[drawn].sum(1) / sizes[drawn].sum(1)


@ex.wrong("normal_curve", "You take the mean less 1.645 deviations, as if the means followed a normal curve.")
def _(differences: Tensor, cluster: Tensor, drawn: Tensor, alpha: float) -> Tensor:
    sums, sizes = _groups(differences, cluster, drawn)
    means = sums[drawn].sum(1) / sizes[drawn].sum(1)
    return means.mean() - 1.645 * means.std(correction=0)


@ex.wrong("own_draw", "Your result changes from call to call; the resamples are in `drawn` already.")
def _(differences: Tensor, cluster: Tensor, drawn: Tensor, alpha: float) -> Tensor:
    return _bound(differences, cluster, torch.randint(drawn.shape[1], drawn.shape), alpha)


@ex.wrong("layouts_counted", "You divide by the number of layouts; the mean is over images.")
def _(differences: Tensor, cluster: Tensor, drawn: Tensor, alpha: float) -> Tensor:
    sums, _ = _groups(differences, cluster, drawn)
    return (sums[drawn].sum(1) / drawn.shape[1]).quantile(alpha)


@ex.wrong("mean_of_resamples", "You return the mean of all resamples; a lower bound is a quantile.")
def _(differences: Tensor, cluster: Tensor, drawn: Tensor, alpha: float) -> Tensor:
    sums, sizes = _groups(differences, cluster, drawn)
    return (sums[drawn].sum(1) / sizes[drawn].sum(1)).mean()


@ex.wrong("quantile_of_images", "You take the quantile of the images' differences, without any resamples.")
def _(differences: Tensor, cluster: Tensor, drawn: Tensor, alpha: float) -> Tensor:
    return differences.quantile(alpha)


@ex.wrong("sums", "You take the quantile of the resamples' sums; their means were asked for.")
def _(differences: Tensor, cluster: Tensor, drawn: Tensor, alpha: float) -> Tensor:
    sums, _ = _groups(differences, cluster, drawn)
    return sums[drawn].sum(1).quantile(alpha)


@ex.wrong("taken_as_sorted", "You take the images to be sorted by layout; `cluster` says which is which.")
def _(differences: Tensor, cluster: Tensor, drawn: Tensor, alpha: float) -> Tensor:
    return _bound(differences, cluster.sort().values, drawn, alpha)


ex.right(_bound)


@ex.right
def _(differences: Tensor, cluster: Tensor, drawn: Tensor, alpha: float) -> Tensor:
    members = [differences[cluster == g] for g in range(drawn.shape[1])]
    means = [torch.cat([members[g] for g in row.tolist()]).mean() for row in drawn]
    return torch.quantile(torch.stack(means), alpha)


@ex.right
def _(differences: Tensor, cluster: Tensor, drawn: Tensor, alpha: float) -> Tensor:
    counts = torch.nn.functional.one_hot(drawn, drawn.shape[1]).sum(1).to(differences.dtype)  # (R, G)
    weights = counts[:, cluster]  # (R, N): how often each image is in each resample
    return ((weights * differences).sum(1) / weights.sum(1)).quantile(alpha)


@ex.right
def _(differences: Tensor, cluster: Tensor, drawn: Tensor, alpha: float) -> Tensor:
    sizes = cluster.bincount(minlength=drawn.shape[1]).to(differences.dtype)
    sums = cluster.bincount(differences, minlength=drawn.shape[1]).to(differences.dtype)
    ordered = (sums[drawn].sum(1) / sizes[drawn].sum(1)).sort().values
    place = alpha * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


ex.breach("the challenger's quality minus the champion's", "sign_turned")
ex.breach("`cluster` says which layout", "images_resampled")
ex.breach("`drawn` are resamples", "own_draw")
ex.breach("A resample consists of all images of its layouts", "each_once")
ex.breach("Return the `alpha` quantile of the resamples' means (over images)", "mean_of_means")
ex.breach("linearly interpolated", "not_interpolated")


ex.breach(
    "Tensors that you make must be on the device of `differences`.",
    lambda differences, *rest: ex.function(differences * torch.ones(1), *rest),
)
