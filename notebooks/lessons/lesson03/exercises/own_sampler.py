"""Lesson 03: a sampler of one's own, with a score."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from gantrans.metrics import rule_valid
from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.inputs import Args
from gantrans.teaching.exercises.kinds import OpenTask
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
from lessons.lesson03.exercises.dpm_step import dpm_step
from lessons.shared.denoising import clips

COUNT = 256
RULE = 2
NEAR = 0.9

ex = OpenTask(
    id="own_sampler",
    lesson="03",
    title="A sampler of your own",
    difficulty=4,
    minutes=30,
    importance="may",
    measure="the share of 256 clips that keep the rule and are new and different from each other",
    better="higher",
    target=0.8,
    places=2,
    seeded=True,
    spec=r"""
    How many good clips can ten evaluations of a network give? Write a sampler. `x` is the noise to start
    from, `(B, 1, 16, 16)`; `predict(x_t, t)` gives the predicted image in [-1, 1], with `t` as `(B,)` int64;
    `alpha_bars` has T = 1000 entries. Return the finished images, like `x`; what lies above 0 counts as
    drawn.

    - Call `predict` at most 10 times, always with the whole batch and with timesteps from 0 to T - 1.
    - The images must be those that `predict` leads to: none that you keep in store, none that you mend at the
      end. The rules are tried with a perfect predictor, whose data are not clips but random pictures.
    - Different noise leads to different images. All randomness comes from `generator`.

    The first check trains a small U-Net on 1024 clips, once on this machine. Every check then draws a new
    seed, prints it, and gives you 256 noise images. A clip counts if it keeps the design rule, is none of the
    clips of the training, and has not been drawn before. With this network we found:

    | timesteps | step | score |
    |---|---|---|
    | 10, evenly spaced | DDIM | 0.34 |
    | 10, evenly spaced | DPM++ | 0.42 |
    | 10, evenly spaced | DDPM | 0.48 |
    | 10, dense near 0 (rho = 2) | DDPM | 0.69 |
    | 10, the best that we know | ? | 0.86 |
    """,
    hints=(
        "Where to look is worth more than how to step: most of the ten evaluations belong to little noise. "
        "Try `t = (T - 1) * u**rho` for `u` from 1 down to 0.1.",
        "DDPM beats DDIM here, so fresh noise repairs mistakes. DDPM is DDIM with `eta = 1`; try more.",
        "At the noisiest timesteps the prediction is a grey mean whatever `x` is. Does the first one have to "
        "be T - 1? And the data are -1 or 1: grey pixels may be pushed towards them before each step.",
    ),
    source="Karras et al. 2022 (spacing, and noise that repairs mistakes); Song et al. 2021 (eta); Ho, Jain, "
    "Abbeel 2020, algorithm 2 (the sampler to start from).",
    equivalent=dict(SAME_VERDICT),
)


@ex.reference
def own_sampler(
    predict: Callable[..., Tensor], x: Tensor, alpha_bars: Tensor, generator: torch.Generator
) -> Tensor:
    """predict(x_t, t (B,) int64) -> image; noise x (B, 1, 16, 16), alpha_bars (T,) -> images like x."""
    steps = len(alpha_bars)
    times = [round((i + 1) * steps / 10) - 1 for i in reversed(range(10))]
    bars = [*alpha_bars[times].tolist(), 1.0]
    for t, (bar, bar_next) in zip(times, pairwise(bars), strict=True):
        image = predict(x, torch.full((len(x),), t, device=x.device))
        noise = torch.randn(x.shape, generator=generator, device=x.device)
        x = ddpm_step(x, image, noise, bar, bar_next)
    return x


def start(count: int, seed: int) -> tuple[Tensor, torch.Generator]:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(count, 1, SIZE, SIZE, generator=draw), draw


@ex.edges
def _() -> list[Args]:
    made = []
    for images, count, seed in ((24, 6, 1), (1, 1, 2), (16, 5, 3)):
        x, draw = start(images, seed)
        made.append((Counted(Nearest(pictures(count, seed)), tuple(x.shape)), x, ALPHA_BARS.clone(), draw))
    return made


@ex.valid
def led_to(
    value: Any, predict: Counted, x: Tensor, alpha_bars: Tensor, generator: torch.Generator
) -> str | None:
    if not isinstance(value, Tensor):
        return "no_tensor"
    if value.shape != x.shape:
        return "other_shape"
    if not bool(value.isfinite().all()):
        return "not_finite"
    assert isinstance(predict.predict, Nearest)
    known = predict.predict.pictures
    alike = ((value > 0)[:, None] == (known > 0)).double().flatten(2).mean(2)
    if bool((alike.amax(1) < NEAR).any()):
        return "not_predicted"
    found = len(alike.argmax(1).unique())
    return "one_for_all" if found == 1 and len(x) > 1 else None


ex.prepare(trained)


@ex.part_of_score
def new_and_different(drawn: Tensor, known: Tensor) -> Tensor:
    """Bits (N, P) and (M, P) -> (N,): neither one of `known` nor drawn before."""
    seen = {tuple(row) for row in known.tolist()}
    fresh = []
    for row in map(tuple, drawn.tolist()):
        fresh.append(row not in seen)
        seen.add(row)
    return torch.tensor(fresh)


@ex.score
def score(answer: Answer, seed: int) -> float:
    """The share of the clips that count."""
    x, draw = start(COUNT, seed)
    made = answer(Counted(network(), tuple(x.shape)), x, ALPHA_BARS.clone(), draw) > 0
    known = clips(SIZE, "train", KNOWN).unit() > 0.5
    counts = rule_valid(made.float(), RULE, RULE) & new_and_different(made.flatten(1), known.flatten(1))
    return float(counts.double().mean())


ex.compare("DDPM, evenly spaced", own_sampler, known=0.48)


def walk(
    times: list[int], eta: tuple[float, float] = (1.0, 1.0), sharpness: tuple[float, float] = (1.0, 1.0)
) -> Answer:
    """DDIM along `times`; `eta` and the sharpening of the image go from the first value to the last."""

    def sampler(predict: Predict, x: Tensor, alpha_bars: Tensor, generator: torch.Generator) -> Tensor:
        bars = [*alpha_bars[times].tolist(), 1.0]
        for number, (t, (bar, bar_next)) in enumerate(zip(times, pairwise(bars), strict=True)):
            done = number / max(1, len(times) - 1)
            sharp = sharpness[0] + done * (sharpness[1] - sharpness[0])
            noisy = eta[0] + done * (eta[1] - eta[0])
            image = torch.tanh(
                sharp * torch.atanh(0.999 * predict(x, torch.full((len(x),), t, device=x.device)))
            )
            spread = noisy * math.sqrt((1 - bar_next) / (1 - bar) * (1 - bar / bar_next))
            rest = math.sqrt(max(0.0, 1 - bar_next - spread**2) / (1 - bar))
            x = math.sqrt(bar_next) * image + rest * (x - math.sqrt(bar) * image)
            x = x + spread * torch.randn(x.shape, generator=generator)
        return x

    return sampler


def spaced(first: int, last: int, rho: float) -> list[int]:
    """Ten falling timesteps from `first`, dense near `last` for a large rho; `last` would be the eleventh."""
    return [round(last + (first - last) * (1 - number / 10) ** rho) for number in range(10)]


EVEN = spaced(999, -1, 1.0)
BEST = walk(spaced(850, 10, 2.5), eta=(1.35, 1.35), sharpness=(1.0, 2.0))


@ex.right
def _(predict: Predict, x: Tensor, alpha_bars: Tensor, generator: torch.Generator) -> Tensor:
    """DPM-Solver++(2M)."""
    before: tuple[Tensor, float] | None = None
    bars = [*alpha_bars[EVEN].tolist(), 1.0]
    for t, (bar, bar_next) in zip(EVEN, pairwise(bars), strict=True):
        image = predict(x, torch.full((len(x),), t, device=x.device))
        x = dpm_step(x, image, before, bar, bar_next)
        before = image, bar
    return x


ex.right(walk(EVEN, eta=(0.0, 0.0)))
ex.right(walk(spaced(999, 0, 2.0)))
ex.right(BEST)
ex.right(noise_left(BEST))


ex.wrong(
    "eleven_calls",
    "You call `predict` for the eleventh time; ten calls are all there is.",
    walk([round(999 - number * 999 / 10) for number in range(11)]),
)
known_faults(ex, own_sampler)

ex.background(
    "How many good clips",
    "Write a sampler",
    "The rules are tried with a perfect predictor",
    "The first check trains",
    "Every check then draws",
    "A clip counts if",
    "With this network we found",
    "| timesteps",
    "| 10,",
)
ex.breach("Call `predict` at most 10 times", "eleven_calls")
