"""Lesson 15: a sampler of four evaluations, with a score."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from gantrans.metrics import rule_valid
from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.inputs import Args
from gantrans.teaching.exercises.kinds import OpenTask, RuleBroken
from lessons.lesson03.exercises._judging import SAME_VERDICT, known_faults, noise_left
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
    target=0.4,
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
        "At the noisiest timesteps the prediction is a grey mean whatever `x` is. Begin lower, at t = 800 or "
        "so, and see what happens.",
        "The last of the four decides about single pixels: it belongs to little noise.",
        "Between two evaluations, push grey pixels towards -1 or 1, hardest at first, and noise the image "
        "with fresh noise only, as in `jump_sample`.",
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


def jumps(times: list[int], sharpness: tuple[float, float]) -> Answer:
    """Each image noised anew, with fresh noise only; the sharpening goes from the first value to the last."""

    def sampler(predict: Predict, x: Tensor, alpha_bars: Tensor, generator: torch.Generator) -> Tensor:
        bars = [*alpha_bars[times].tolist(), 1.0]
        for number, (t, bar_next) in enumerate(zip(times, bars[1:], strict=True)):
            done = number / max(1, len(times) - 1)
            sharp = sharpness[0] + done * (sharpness[1] - sharpness[0])
            image = predict(x, torch.full((len(x),), t, device=x.device))
            image = torch.tanh(sharp * torch.atanh(0.999 * image))
            noise = torch.randn(x.shape, generator=generator, device=x.device)
            x = math.sqrt(bar_next) * image + math.sqrt(1 - bar_next) * noise
        return x

    return sampler


BEST = jumps([830, 575, 220, 70], sharpness=(3.0, 1.0))
"""The best that we know."""

ex.right(walk(EVEN, eta=(0.0, 0.0)))
ex.right(walk([800, 500, 250, 60]))
ex.right(walk([900, 600, 300, 80], eta=(0.5, 0.5)))
ex.right(walk([700, 450, 280, 120], eta=(1.2, 1.2), sharpness=(1.5, 3.0)))
ex.right(BEST)
ex.right(noise_left(BEST))


ex.wrong(
    "five_calls",
    "You call `predict` for the fifth time; four calls are all there is.",
    walk([999, 799, 599, 399, 199]),
)
known_faults(ex, own_four)

ex.background(
    "How far does a sampler alone get",
    "The rules are tried with a perfect predictor",
    "The first check trains",
    "Every check then draws",
    "A clip counts if",
)
ex.breach("Call `predict` at most 4 times", "five_calls")
