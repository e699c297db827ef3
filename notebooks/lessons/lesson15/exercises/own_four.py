"""Lesson 15: a sampler of four evaluations, with a score."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.metrics import rule_valid
from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.inputs import Args
from gantrans.teaching.exercises.kinds import OpenTask, RuleBroken
from lessons.lesson03.exercises._judging import SAME_VERDICT
from lessons.lesson03.exercises._predictors import (
    ALPHA_BARS,
    KNOWN,
    SIZE,
    Counted,
    Nearest,
    Predict,
    network,
    pictures,
    trained,
)
from lessons.lesson03.exercises.ddpm_step import ddpm_step
from lessons.lesson03.exercises.own_sampler import COUNT, RULE, led_to, new_and_different, start, walk
from lessons.shared.denoising import clips

CALLS = 4

ex = OpenTask(
    id="own_four",
    lesson="15",
    title="Four evaluations, no student",
    difficulty=4,
    minutes=25,
    importance="may",
    measure="the share of 256 clips that keep the rule and are new and different from each other",
    better="higher",
    target=0.3,
    places=2,
    seeded=True,
    spec=r"""
    How far does a sampler alone get with four evaluations of a network that was never taught to jump? `x` is
    the noise to start from, `(B, 1, 16, 16)`; `predict(x_t, t)` gives the predicted image in [-1, 1], with
    `t` as `(B,)` int64; `alpha_bars` has T = 1000 entries. Return the finished images, like `x`; what lies
    above 0 counts as drawn.

    - Call `predict` at most 4 times, always with the whole batch and with timesteps from 0 to T - 1.
    - The images must be those that `predict` leads to: none that you keep in store, none that you mend at the
      end. The rules are tried with a perfect predictor, whose data are not clips but random pictures.
    - Different noise leads to different images. All randomness comes from `generator`.

    The first check trains lesson 03's small U-Net on 1024 clips, once on this machine. Every check then draws
    a new seed, prints it, and gives you 256 noise images. A clip counts if it keeps the design rule, is none
    of the clips of the training, and has not been drawn before.
    """,
    hints=(
        "At the noisiest timesteps the prediction is a grey mean whatever `x` is. Begin lower, at t = 700 or "
        "so, and see what happens.",
        "The last of the four decides about single pixels: it belongs to little noise.",
        "Between two evaluations, push grey pixels towards -1 or 1, and add fresh noise as DDPM does.",
    ),
    source="Karras et al. 2022 (spacing of few steps); Song, Dhariwal, Chen, Sutskever 2023, algorithm 1 "
    "(searched times).",
    equivalent=dict(SAME_VERDICT),
)


@ex.reference
def own_four(
    predict: Callable[..., Tensor], x: Tensor, alpha_bars: Tensor, generator: torch.Generator
) -> Tensor:
    """predict(x_t, t (B,) int64) -> image; noise x (B, 1, 16, 16), alpha_bars (T,) -> images like x."""
    steps = len(alpha_bars)
    times = [round((i + 1) * steps / 4) - 1 for i in reversed(range(4))]
    bars = [*alpha_bars[times].tolist(), 1.0]
    for t, (bar, bar_next) in zip(times, pairwise(bars), strict=True):
        image = predict(x, torch.full((len(x),), t, device=x.device))
        noise = torch.randn(x.shape, generator=generator, device=x.device)
        x = ddpm_step(x, image, noise, bar, bar_next)
    return x


@dataclass(repr=False)
class CountedFour(Counted):
    """A predictor that refuses the fifth call."""

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """The predicted image.

        Raises:
            RuleBroken: too many calls, another batch, or timesteps that there are not.
        """
        if self.calls >= CALLS:
            raise RuleBroken("five_calls")
        return super().__call__(x_t, t)


@ex.edges
def _() -> list[Args]:
    made = []
    for images, count, seed in ((24, 6, 1), (1, 1, 2), (16, 5, 3)):
        x, draw = start(images, seed)
        known = CountedFour(Nearest(pictures(count, seed)), tuple(x.shape))
        made.append((known, x, ALPHA_BARS.clone(), draw))
    return made


ex.valid(led_to)
ex.prepare(trained)
ex.part_of_score(new_and_different)


@ex.score
def score(answer: Answer, seed: int) -> float:
    """The share of the clips that count."""
    x, draw = start(COUNT, seed)
    made = answer(CountedFour(network(), tuple(x.shape)), x, ALPHA_BARS.clone(), draw) > 0
    known = clips(SIZE, "train", KNOWN).unit() > 0.5
    counts = rule_valid(made.float(), RULE, RULE) & new_and_different(made.flatten(1), known.flatten(1))
    return float(counts.double().mean())


ex.compare("DDPM, evenly spaced", own_four, known=0.1)

EVEN = [999, 749, 499, 249]
BEST = walk([700, 450, 280, 120], eta=(1.2, 1.2), sharpness=(1.5, 3.0))
"""The best that we know."""

ex.right(walk(EVEN, eta=(0.0, 0.0)))
ex.right(walk([800, 500, 250, 60]))
ex.right(walk([900, 600, 300, 80], eta=(0.5, 0.5)))
ex.right(BEST)


@ex.right
def _(predict: Predict, x: Tensor, alpha_bars: Tensor, generator: torch.Generator) -> Tensor:
    """A little noise is left in the result, so that a pixel in a hundred is on the wrong side."""
    made = BEST(predict, x, alpha_bars, generator)
    return made + 0.43 * torch.randn(x.shape, generator=generator)


def _after(change: Callable[[Tensor], Any]) -> Answer:
    """The reference, with its result changed."""
    return lambda predict, x, bars, draw: change(own_four(predict, x, bars, draw))


def _before(change: Callable[[Predict], Predict]) -> Answer:
    """The reference, with another `predict`."""
    return lambda predict, x, bars, draw: own_four(change(predict), x, bars, draw)


def _mended(image: Tensor) -> Tensor:
    """Lone pixels removed: the middle of each 3 x 3 window takes the side of most."""
    return F.avg_pool2d((image > 0).float(), 3, 1, 1) - 0.5


for name, misconception, answer in (
    ("no_tensor", "A tensor is asked for.", _after(Tensor.tolist)),
    (
        "other_shape",
        "The result has to have the shape of `x`: one finished image for each noise image.",
        _after(lambda image: image[:, 0]),
    ),
    ("not_finite", "The result has to be finite numbers.", _after(lambda image: image / 0)),
    (
        "five_calls",
        "You call `predict` for the fifth time; four calls are all there is.",
        walk([999, 799, 599, 399, 199]),
    ),
    (
        "other_batch",
        "You call `predict` with another batch; each call takes the whole batch, in the shape of `x`.",
        _before(lambda predict: lambda x, t: torch.cat([predict(x[:1], t[:1]), predict(x[1:], t[1:])])),
    ),
    (
        "no_timestep",
        "You ask `predict` about a timestep that there is not; they are whole numbers from 0 to T - 1.",
        _before(lambda predict: lambda x, t: predict(x, t + 1)),
    ),
    (
        "not_predicted",
        "Your images are not those that `predict` leads to. It was given a perfect predictor of random "
        "pictures, and returned something else than these: are they stored, mended, or still noisy?",
        _after(_mended),
    ),
    (
        "one_for_all",
        "All of your images are the same; each noise image leads to one of its own.",
        lambda predict, x, bars, draw: own_four(
            lambda x_t, t: predict(x_t[:1].expand_as(x_t), t), x, bars, draw
        ),
    ),
    (
        "changes",
        "The same call has to give the same images; all randomness comes from `generator`.",
        lambda predict, x, bars, draw: own_four(predict, torch.randn(x.shape), bars, draw),
    ),
):
    ex.wrong(name, misconception, answer)

ex.background(
    "How far does a sampler alone get",
    "The rules are tried with a perfect predictor",
    "The first check trains",
    "Every check then draws",
    "A clip counts if",
)
ex.breach("`x` is the noise to start from", "changes")
ex.breach("with `t` as `(B,)` int64", _before(lambda predict: lambda x, t: predict(x, t + 0.5)))
ex.breach("`alpha_bars` has", "no_timestep")
ex.breach("Return the finished images, like `x`", "other_shape")
ex.breach("what lies above 0 counts as drawn", _after(lambda image: image.relu() + 0.5))
ex.breach("Call `predict` at most 4 times", "five_calls")
ex.breach("always with the whole batch", "other_batch")
ex.breach("timesteps from 0 to T - 1", "no_timestep")
ex.breach("none that you keep in store", lambda predict, x, bars, draw: -torch.ones_like(x))
ex.breach("none that you keep in store", lambda predict, x, bars, draw: x)
ex.breach("none that you mend at the end", "not_predicted")
ex.breach("Different noise leads to different images", "one_for_all")
ex.breach("All randomness comes from `generator`", "changes")
