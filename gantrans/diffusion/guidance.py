"""Classifier-free guidance: amplify the difference that the label makes to the prediction."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from gantrans.diffusion.samplers import Model
from gantrans.training import Batch


def guided(model: Callable[[Tensor, Tensor, bool], Tensor], scale: float) -> Model:
    """A `Model` that predicts unconditional + scale * (conditional - unconditional).

    Ho and Salimans 2022, eq. 6, with scale = 1 + their w: 0 ignores the label, 1 is the conditional model,
    larger scales trade diversity for agreement with the label. Because every prediction is linear in epsilon
    at a given x_t, the formula is the same for epsilon, x0 and v.

    Canonical form: `lessons.lesson03.exercises.guided_prediction.guided_prediction`; this skips
    the second evaluation of the network at scales 0 and 1, which do not need it.

    Args:
        model: model(x_t, t, labelled) -> prediction; with `labelled` False it must not use the label.
        scale: see above; 0 and 1 take one evaluation of the network, other values two.
    """

    def predict(x_t: Tensor, t: Tensor) -> Tensor:
        if scale in (0.0, 1.0):
            return model(x_t, t, scale == 1.0)
        unconditional = model(x_t, t, False)
        return unconditional + scale * (model(x_t, t, True) - unconditional)

    return predict


def given_with_dropout(
    batch: Batch, classes: int, dropout: float, generator: torch.Generator
) -> dict[str, Tensor]:
    """What a training batch has of "condition" and "label"; labels are withheld at random.

    Args:
        classes: the number that means "no label". dropout: share of the labels that become it.
    """
    given: dict[str, Tensor] = {k: cast(Tensor, batch[k]) for k in ("condition", "label") if k in batch}
    if "label" in given:
        label = given["label"]
        drop = torch.rand(len(label), generator=generator, device=label.device) < dropout
        given["label"] = torch.where(drop, classes, label)
    return given
