"""What `own_sampler` and `own_four` have in common: wrong samplers, and changes of the rules that leave every
verdict as it is."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.kinds import OpenTask
from lessons.lesson03.exercises._predictors import Predict

SAME_VERDICT = {
    "value.detach()": "no predictor here has a graph",
    "drop `assert isinstance(": "it tells mypy the type",
    "-> `(alike.amax(1) < NEAR).any()`": "a truth value in a tensor is one as well",
    "-> `value.isfinite().all()`": "a truth value in a tensor is one as well",
    "`alike.amax(1) < NEAR` -> `alike.amax(1) <= NEAR`": "no share of 256 pixels is 0.9",
    ".double` -> ": "shares of 256 are exact in float32",
    "`made.float` -> `made.double`": "0 and 1 are exact in any type",
    "11.4 value.": "0 and 1 are exact in any type",
    "12.4 value.": "0 and 1 are exact in any type",
    "4.4 value.": "0 and 1 are exact in any type",
    "5.4 value.": "0 and 1 are exact in any type",
    "6.4 value.": "0 and 1 are exact in any type",
    "13.24 `1` -> `-1`": "of two axes the last is 1",
    "`value > 0` -> `value >= 0`": "no pixel of a finished image is 0",
    "draw) > 0` -> ": "no pixel of a finished image is 0",
    "`known > 0` -> `known >= 0`": "no pixel of the random pictures is 0",
    "12.46 `0` -> `-1`": "the random pictures are -1 and 1",
    ".unit() > 0.5` -> ": "clips are 0 and 1",
    "5.49 `0.5` -> ": "clips are 0 and 1",
    "16.52 `1` -> `2`": "no input has two images",
    "`alike.argmax` -> `alike.argmin`": "which picture it is does not count, only whether it is one",
    "15.29 `1` -> ": "one picture for all is found along either axis",
    "-> `counts.double().mean()`": "a tensor of one number counts as a number",
    "-> `ALPHA_BARS`": "no known answer changes them",
    "-> `x.shape`": "a shape is a tuple",
}
"""Parts of mutants' names, with reasons; see `Exercise.equivalent`."""


def noise_left(sampler: Answer) -> Answer:
    """A sampler that leaves a little noise, so that a pixel in a hundred is on the wrong side."""

    def noisy(predict: Predict, x: Tensor, alpha_bars: Tensor, generator: torch.Generator) -> Tensor:
        made: Tensor = sampler(predict, x, alpha_bars, generator)
        return made + 0.43 * torch.randn(x.shape, generator=generator)

    return noisy


def _mended(image: Tensor) -> Tensor:
    """Lone pixels removed: the middle of each 3 x 3 window takes the side of most."""
    return F.avg_pool2d((image > 0).float(), 3, 1, 1) - 0.5


def known_faults(ex: OpenTask, sampler: Answer) -> None:
    """Add the wrong answers to a task, made of its reference, and what of its text they break."""
    after, before = partial(_after, sampler), partial(_before, sampler)
    for name, misconception, answer in (
        ("no_tensor", "A tensor is asked for.", after(Tensor.tolist)),
        (
            "other_shape",
            "The result has to have the shape of `x`: one finished image for each noise image.",
            after(lambda image: image[:, 0]),
        ),
        ("not_finite", "The result has to be finite numbers.", after(lambda image: image / 0)),
        (
            "other_batch",
            "You call `predict` with another batch; each call takes the whole batch, in the shape of `x`.",
            before(lambda predict: lambda x, t: torch.cat([predict(x[:1], t[:1]), predict(x[1:], t[1:])])),
        ),
        (
            "no_timestep",
            "You ask `predict` about a timestep that there is not; they are whole numbers from 0 to T - 1.",
            before(lambda predict: lambda x, t: predict(x, t + 1)),
        ),
        (
            "not_predicted",
            "Your images are not those that `predict` leads to. It was given a perfect predictor of random "
            "pictures, and returned something else than these: are they stored, mended, or still noisy?",
            after(_mended),
        ),
        (
            "one_for_all",
            "All of your images are the same; each noise image leads to one of its own.",
            lambda predict, x, bars, draw: sampler(
                lambda x_t, t: predict(x_t[:1].expand_as(x_t), t), x, bars, draw
            ),
        ),
        (
            "changes",
            "The same call has to give the same images; all randomness comes from `generator`.",
            lambda predict, x, bars, draw: sampler(predict, torch.randn(x.shape), bars, draw),
        ),
    ):
        ex.wrong(name, misconception, answer)
    _breaches(ex, after, before)


def _breaches(ex: OpenTask, after: Callable[..., Answer], before: Callable[..., Answer]) -> None:
    ex.breach("`x` is the noise to start from", "changes")
    ex.breach("with `t` as `(B,)` int64", before(lambda predict: lambda x, t: predict(x, t + 0.5)))
    ex.breach("`alpha_bars` has", "no_timestep")
    ex.breach("Return the finished images, like `x`", "other_shape")
    ex.breach("what lies above 0 counts as drawn", after(lambda image: image.relu() + 0.5))
    ex.breach("always with the whole batch", "other_batch")
    ex.breach("timesteps from 0 to T - 1", "no_timestep")
    ex.breach("none that you keep in store", lambda predict, x, bars, draw: -torch.ones_like(x))
    ex.breach("none that you keep in store", lambda predict, x, bars, draw: x)
    ex.breach("none that you mend at the end", "not_predicted")
    ex.breach("Different noise leads to different images", "one_for_all")
    ex.breach("All randomness comes from `generator`", "changes")


def _after(sampler: Answer, change: Callable[[Tensor], Any]) -> Answer:
    """The sampler, with its result changed."""
    return lambda predict, x, bars, draw: change(sampler(predict, x, bars, draw))


def _before(sampler: Answer, change: Callable[[Predict], Predict]) -> Answer:
    """The sampler, with another `predict`."""
    return lambda predict, x, bars, draw: sampler(change(predict), x, bars, draw)
