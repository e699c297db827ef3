"""Lesson 03: classifier-free guidance."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

ex = Exercise(
    id="guided_prediction",
    lesson="03",
    title="Lean towards the label",
    difficulty=1,
    minutes=5,
    spec=r"""
    A network trained with and without labels answers twice: once without (`unconditional`) and once with the
    label (`conditional`). Their difference is what the label changes. Go from the unconditional answer
    `scale` times as far in that direction: 0 ignores the label, 1 is the conditional answer, 3 exaggerates
    it. Both have the same shape `(B, ...)`, and so has the result. Gradients flow to both.

    (Ho and Salimans count differently: their $w$ is `scale` minus 1.)
    """,
    hints=(
        "Start at the unconditional answer: with scale 0 nothing else may be left.",
        "Check scale = 1 on paper: the unconditional answer must cancel.",
        "unconditional + scale * (conditional - unconditional)",
    ),
    source="Ho, Salimans 2022 (classifier-free guidance), eq. 6, with scale = 1 + w.",
    gradients=("unconditional", "conditional"),
)


@ex.reference
def guided_prediction(unconditional: Tensor, conditional: Tensor, scale: float) -> Tensor:
    """Two predictions (B, ...) and how far to lean towards the second -> (B, ...)."""
    return unconditional + scale * (conditional - unconditional)


@ex.edges
def _() -> list[Args]:
    without, with_label = torch.tensor([[1.0, -2.0, 0.5]]), torch.tensor([[0.5, 1.0, 0.5]])
    small = [(without, with_label, scale) for scale in (0.0, 1.0, 3.0, 0.5, -1.0, 7.5, 2)]
    maps = torch.arange(12.0).view(2, 2, 3).mT  # not contiguous, values far beyond 1
    return [*small, (maps, -maps / 2, 1.5), (without[0], with_label[0], 4.0), (without, without.clone(), 3.0)]


@ex.inputs
def _(case: Case) -> Args:
    shape = case.choice(((case.batch, 2), (case.batch, 1, case.height, case.width)))
    return case.randn(*shape), case.randn(*shape), case.choice((0.0, 1.0, 1.5, 2.0, 4.0, 7.5))


ex.wrong(
    "scale_of_the_paper",
    "You start from the conditional answer: that is the paper's w, one less than the scale here.",
    lambda u, c, scale: c + scale * (c - u),
)
ex.wrong(
    "swapped",
    "You have the two the wrong way round: this leans away from the label.",
    lambda u, c, scale: c + scale * (u - c),
)
ex.wrong(
    "difference_swapped",
    "You subtract the conditional answer from the unconditional one: this leans away from the label.",
    lambda u, c, scale: u - scale * (c - u),
)
ex.wrong(
    "only_the_difference",
    "You forget to add the unconditional answer: the difference alone is no prediction.",
    lambda u, c, scale: scale * (c - u),
)
ex.wrong(
    "weights_not_one",
    "You add the conditional answer itself, not the difference: the weights should add up to 1, or the "
    "prediction grows.",
    lambda u, c, scale: u + scale * c,
)
ex.wrong(
    "at_most_one",
    "You limit the scale to 1; the exaggeration beyond is what guidance is for.",
    lambda u, c, scale: u + min(scale, 1.0) * (c - u),
)
ex.wrong("averaged", "You average the two and ignore the scale.", lambda u, c, scale: (u + c) / 2)
ex.wrong("no_guidance", "You return the conditional answer: that is scale 1.", lambda u, c, scale: 0 * u + c)
ex.wrong(
    "clipped",
    "You clip the result; a prediction of noise does leave [-1, 1]. Clipping belongs to the predicted image.",
    lambda u, c, scale: (u + scale * (c - u)).clamp(-1, 1),
)
ex.wrong(
    "rescaled",
    "You bring the result back to the spread of the conditional answer: a remedy against overexposed images "
    "(Lin et al. 2023), not guidance itself.",
    lambda u, c, scale: (u + scale * (c - u)) * c.std() / (u + scale * (c - u)).std(),
)
ex.wrong(
    "detached",
    "You cut the graph at the unconditional answer: its gradient is missing.",
    lambda u, c, scale: u.detach() + scale * (c - u.detach()),
)

ex.right(lambda u, c, scale: (1 - scale) * u + scale * c)
ex.right(lambda u, c, scale: c + (scale - 1) * (c - u))
ex.right(lambda u, c, scale: torch.lerp(u, c, scale))
ex.right(lambda u, c, scale: torch.sub(u, u - c, alpha=scale))


@ex.right
def _(unconditional: Tensor, conditional: Tensor, scale: float) -> Tensor:
    if scale == 0:
        return unconditional
    if scale == 1:
        return conditional
    return unconditional.add(conditional - unconditional, alpha=scale)


@ex.right
def _(unconditional: Tensor, conditional: Tensor, scale: float) -> Tensor:
    # one batch of both, as networks are often called
    first, second = torch.cat([unconditional, conditional]).chunk(2)
    weights = torch.tensor([1 - scale, scale], dtype=first.dtype, device=first.device)
    return torch.einsum("k,k...->...", weights, torch.stack([first, second]))


ex.wrong(
    "one_less",
    "You go scale - 1 times as far; with scale 1 the conditional answer must come out.",
    lambda u, c, scale: u + (scale - 1) * (c - u),
)
ex.wrong(
    "label_ignored",
    "You return the unconditional answer: that is scale 0.",
    lambda u, c, scale: u + 0 * c,
)
ex.wrong(
    "scaled_conditional",
    "You return `scale` times the conditional answer; scale 0 must give the unconditional one, not zero.",
    lambda u, c, scale: scale * c + 0 * u,
)
ex.wrong(
    "everything_scaled",
    "You multiply the unconditional answer by the scale as well; only the difference is scaled.",
    lambda u, c, scale: scale * (u + (c - u)) + scale * u,
)
ex.wrong(
    "never_backwards",
    "You cut a negative scale to 0; it leans away from the label.",
    lambda u, c, scale: u + max(scale, 0) * (c - u),
)
ex.wrong(
    "size_of_the_difference",
    "You take the absolute difference; the direction is lost.",
    lambda u, c, scale: u + scale * (c - u).abs(),
)
ex.wrong(
    "unit_direction",
    "You bring the difference to length 1 first; go `scale` times the difference itself.",
    lambda u, c, scale: u + scale * torch.nn.functional.normalize((c - u).flatten(), dim=0).view_as(u),
)
ex.wrong(
    "conditional_detached",
    "You cut the graph at the conditional answer: its gradient is missing.",
    lambda u, c, scale: u + scale * (c.detach() - u),
)
ex.wrong(
    "difference_detached",
    "You cut the graph at the difference: only the unconditional answer gets a gradient, and a wrong one.",
    lambda u, c, scale: u + scale * (c - u).detach(),
)
common_slips(ex, "returned_nothing", "float32_result", "graph_cut", "batch_averaged")

ex.background("A network trained with and without labels")
ex.breach("Their difference", "weights_not_one")
ex.breach("Go from the unconditional answer", "difference_swapped")
ex.breach("Go from the unconditional answer", "scaled_conditional")
ex.breach("0 ignores the label", "one_less")
ex.breach("3 exaggerates", "at_most_one")
ex.breach("and so has the result", "batch_averaged")
ex.breach("Gradients flow to both", "detached")
ex.breach("Gradients flow to both", "conditional_detached")
ex.breach("(Ho and Salimans", "scale_of_the_paper")
