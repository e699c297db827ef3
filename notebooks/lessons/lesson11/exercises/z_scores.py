"""Lesson 11: a reference profile and z-scores."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="z_scores",
    lesson="11",
    title="How unusual is an image?",
    difficulty=1,
    minutes=6,
    spec=r"""
    A reference profile keeps, of every feature, the mean and the standard deviation over the reference images
    (with $n - 1$, as `torch.std` has it by default). A new image is described by its z-scores: how many of
    *those* deviations it lies from *those* means, with a sign.
    """,
    hints=(
        "Mean and standard deviation run over the reference's images, not over its features.",
        "The new images have no say in the profile: they are only compared with it.",
        "`(images - reference.mean(0)) / reference.std(0)`",
    ),
    source="Shewhart 1931 (control charts); the article's rule flags |z| > 3.",
    equivalent={"value.detach()": "no gradient is asked for"},
)


@ex.reference
def z_scores(reference: Tensor, images: Tensor) -> Tensor:
    """Features (n, F) of the reference and (m, F) of new images -> z-scores (m, F)."""
    mean = reference.mean(0)
    spread = reference.std(0)
    return (images - mean) / spread


@ex.edges
def _() -> list[Args]:
    reference = torch.tensor([[0.0, 10.0], [2.0, 30.0], [4.0, 20.0]])
    return [
        (reference, torch.tensor([[2.0, 20.0], [2.0, 30.0]])),
        (reference, torch.tensor([[8.0, 0.0], [-4.0, 50.0]])),
        (reference.T.contiguous(), torch.tensor([[1.0, 1.0, 1.0], [0.0, 2.0, 4.0]])),
        (torch.tensor([[0.0, 10.0], [2.0, 30.0]]), torch.tensor([[8.0, 0.0], [-4.0, 50.0]])),
        (reference.T, torch.tensor([[1.0, 5.0], [1.5, -2.0], [0.0, 4.0]]).T),
        (reference.double()[:, :1], torch.tensor([[100.0]], dtype=torch.float64)),
        (reference, reference[:1]),
        (reference.double() / 1e5, reference[1:].double() / 1e5 - 1e-4),
        (reference * 1e4, reference[:2] * 2e4),
    ]


@ex.inputs
def _(case: Case) -> Args:
    features = case.integer(1, 5)
    scale, shift = 0.2 + case.rand(features), 3 * case.randn(features)
    reference = case.randn(case.integer(4, 12), features) * scale + shift
    return reference, case.randn(case.integer(2, 6), features) * scale + shift


ex.wrong(
    "own_profile",
    "You compare the images with their own mean and deviation: a batch in which all images drifted looks "
    "perfectly usual to itself.",
    lambda r, x: (x - x.mean(0)) / x.std(0),
)
ex.wrong(
    "own_spread",
    "You divide by the spread of the new images; when they drift apart, the z-scores shrink.",
    lambda r, x: (x - r.mean(0)) / x.std(0),
)
ex.wrong(
    "variance",
    "You divide by the variance: its unit is the square of the feature's, so the result is no z-score.",
    lambda r, x: (x - r.mean(0)) / r.var(0),
)
ex.wrong(
    "population",
    "You divide by the deviation with n; the profile is a sample of what may come, so n - 1 is asked for.",
    lambda r, x: (x - r.mean(0)) / r.std(0, correction=0),
)
ex.wrong(
    "pooled_features",
    "You take one mean and deviation over all features together; each feature has its own unit.",
    lambda r, x: (x - r.mean()) / r.std(),
)
ex.wrong(
    "absolute",
    "You drop the sign; which way a feature moved is the first thing one wants to know.",
    lambda r, x: ((x - r.mean(0)) / r.std(0)).abs(),
)
ex.wrong(
    "swapped_sign", "You subtract the image from the mean: the sign is reversed.",
    lambda r, x: (r.mean(0) - x) / r.std(0),
)  # fmt: skip
ex.wrong(
    "standard_error",
    "You divide by the standard error of the mean; an image is compared with images, not with a mean of n.",
    lambda r, x: (x - r.mean(0)) / (r.std(0) / len(r) ** 0.5),
)
ex.wrong(
    "mean_only", "You subtract the mean but do not divide by the deviation.",
    lambda r, x: x - r.mean(0),
)  # fmt: skip
ex.wrong(
    "together",
    "You let the new images into the profile: the more they drift, the more usual they become.",
    lambda r, x: (x - torch.cat([r, x]).mean(0)) / torch.cat([r, x]).std(0),
)

ex.wrong(
    "over_features",
    "You take mean and deviation over the features of an image; they run over the reference's images.",
    lambda r, x: (x - r.mean(1)) / r.std(1),
)
ex.wrong(
    "own_row",
    "You standardise every image by its own features; the profile is the reference's.",
    lambda r, x: (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True),
)
ex.wrong(
    "own_mean",
    "You subtract the new images' mean; the distance is from the reference's.",
    lambda r, x: (x - x.mean(0)) / r.std(0),
)
ex.wrong(
    "divided_first",
    "You divide before you subtract the mean: the brackets are missing.",
    lambda r, x: x - r.mean(0) / r.std(0),
)
ex.wrong(
    "median",
    "You take the median for the mean.",
    lambda r, x: (x - r.median(0).values) / r.std(0),
)
ex.wrong(
    "one_per_image",
    "You average over the features: every feature has a z-score of its own.",
    lambda r, x: ((x - r.mean(0)) / r.std(0)).mean(1),
)
ex.wrong(
    "pooled_spread",
    "You take one deviation over all features; each has its own.",
    lambda r, x: (x - r.mean(0)) / r.std(),
)
ex.wrong(
    "of_the_reference",
    "You return the z-scores of the reference's images; those of the new images were asked for.",
    lambda r, x: (r - r.mean(0)) / r.std(0),
)
ex.wrong(
    "clipped",
    "You cut large z-scores off: an image far away then looks nearer than it is.",
    lambda r, x: ((x - r.mean(0)) / r.std(0)).clamp(-3, 3),
)

ex.wrong(
    "relative",
    "You divide by the mean; the distance is counted in standard deviations.",
    lambda r, x: (x - r.mean(0)) / r.mean(0),
)


ex.right(lambda r, x: x / r.std(0) - r.mean(0) / r.std(0))
ex.right(lambda r, x: (x - r.sum(0) / len(r)) / r.var(0).sqrt())


@ex.right
def _(reference: Tensor, images: Tensor) -> Tensor:
    spread, mean = torch.std_mean(reference, dim=0, keepdim=True)
    return (images - mean).div(spread)


@ex.right
def _(reference: Tensor, images: Tensor) -> Tensor:
    columns = [(images[:, j] - c.mean()) / c.std() for j, c in enumerate(reference.T)]
    return torch.stack(columns, dim=1)


ex.breach("A reference profile keeps, of every feature, the mean", "pooled_features")
ex.breach("with $n - 1$, as `torch.std` has it by default", "population")
ex.breach("how many of *those* deviations it lies from *those* means", "own_profile")
ex.breach("with a sign", "absolute")
