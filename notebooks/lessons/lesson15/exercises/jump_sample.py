"""Lesson 15: few jumps with a student, with one slip."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import BugHunt
from gantrans.teaching.exercises.kinds.probing import Said
from gantrans.teaching.exercises.kinds.step import kind_of
from lessons.lesson01.exercises.q_sample import q_sample
from lessons.lesson15.exercises._jumps import Noted, jump_with, toy_student

ex = BugHunt(
    id="jump_sample",
    lesson="15",
    title="Two jumps are worse than one",
    difficulty=2,
    minutes=10,
    patience=300.0,
    draws=10,
    spec=r"""
    A student jumps from any noise level to an image. The first jump begins at pure noise, `x` `(B, ...)`. To
    use another jump, noise the image again, up to the next level of the falling list `stops`, with fresh
    noise from `generator`, and jump from there. `levels` holds the alpha-bar of each level,
    which is 1 at level 0, where there is no noise, and nearly 0 at the last. So after noising the image has
    the factor $\sqrt{\bar\alpha}$ and the noise $\sqrt{1 - \bar\alpha}$, with the $\bar\alpha$ of the level
    that comes next. The image of the last jump is returned, without a graph. Everything stays on the device
    of `x`. The code below runs, and has one slip. Find it and mend it.
    """,
    hints=(
        "Work out by hand what the student is given at its second jump, with an alpha-bar of 0.9 there.",
        "At which end of time is alpha-bar near 1, at the image or at the noise?",
        "The two factors stand at the wrong things: the image keeps the root of alpha-bar.",
    ),
    source="Song, Dhariwal, Chen, Sutskever 2023, algorithm 1.",
    slip="The factors of image and noise were exchanged, as if time ran from the other end. So the student "
    "was told of little noise and was given much, and the reverse.",
    slip_code="math.sqrt(1 - bar) * image + math.sqrt(bar) * noise",
    equivalent={
        "value.detach()": "inside `no_grad` nothing carries a graph",
        "`float(levels[n])` -> `levels[n]`": "`math.sqrt` takes a tensor of one number, too",
    },
)


@ex.reference
def jump_sample(
    student: Callable[..., Tensor],
    x: Tensor,
    stops: list[int],
    levels: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """student(x, n (B,)), noise x (B, ...), falling levels `stops`, levels (N + 1,) -> images like x."""
    with torch.no_grad():
        image = student(x, torch.full((len(x),), stops[0], device=x.device))
        for n in stops[1:]:
            bar = float(levels[n])
            noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
            x = math.sqrt(bar) * image + math.sqrt(1 - bar) * noise
            image = student(x, torch.full((len(x),), n, device=x.device))
    return image


@ex.bug
def _(
    student: Callable[..., Tensor],
    x: Tensor,
    stops: list[int],
    levels: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """student(x, n (B,)), noise x (B, ...), falling levels `stops`, levels (N + 1,) -> images like x."""
    with torch.no_grad():
        image = student(x, torch.full((len(x),), stops[0], device=x.device))
        for n in stops[1:]:
            bar = float(levels[n])
            noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
            x = math.sqrt(1 - bar) * image + math.sqrt(bar) * noise
            image = student(x, torch.full((len(x),), n, device=x.device))
    return image


@ex.symptom
def _(answer: Answer) -> str:
    seen: list[float] = []

    def perfect(x: Tensor, n: Tensor) -> Tensor:
        seen.append(float(x.mean()))
        return torch.ones_like(x)

    levels = torch.tensor([1.0, 0.9, 0.0], dtype=torch.float64)
    answer(perfect, torch.zeros(1, 100_000), [2, 1], levels, torch.Generator().manual_seed(0))
    return (
        "one jump gives good images, and more jumps make them worse. With a perfect student, whose image is "
        f"1 everywhere, and a next level of alpha-bar 0.9, the mean of what it is given is {seen[1]:.2f}: "
        "hardly any of the image is left, where little noise was announced."
    )


@ex.probe
def _(
    answer: Callable[..., Any],
    student: Callable[..., Tensor],
    x: Tensor,
    stops: list[int],
    levels: Tensor,
    generator: torch.Generator,
) -> dict[str, Any]:
    """What comes back, and what the student was asked, jump by jump."""
    notes, start, list_of_stops = Noted(student), x.clone(), list(stops)
    returned = answer(notes, start, list_of_stops, levels, generator)
    if isinstance(returned, Tensor) and returned.device != x.device:
        raise RuntimeError("The images must be on the same device as `x`.")
    seen: dict[str, Any] = {"what is returned": Said(kind_of(returned)), **notes.told(len(stops))}
    seen["`x` after the call"], seen["`stops` after the call"] = start, list_of_stops
    return seen | {"the images": returned.detach().clone() if isinstance(returned, Tensor) else returned}


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


LEVELS = torch.tensor([1.0, 0.95, 0.8, 0.5, 0.2, 0.001], dtype=torch.float64)


@ex.edges
def _() -> list[Args]:
    points = torch.tensor([[1.0, -2.0], [0.5, 0.25]])
    images = torch.linspace(-2, 2, 12).view(2, 1, 2, 3)
    return [
        (toy_student, points, [5, 2], LEVELS, _seeded(1)),
        (toy_student, points, [5], LEVELS, _seeded(2)),
        (toy_student, points, [5, 4, 2, 1], LEVELS, _seeded(3)),
        (toy_student, points[:1], [5, 3], LEVELS, _seeded(4)),
        (toy_student, images, [5, 3, 1], LEVELS, _seeded(5)),
        (toy_student, images.double(), [4, 1], LEVELS, _seeded(6)),
        (toy_student, points, [3, 0], LEVELS, _seeded(7)),
    ]


@ex.inputs
def _(case: Case) -> Args:
    places = case.integer(4, 20)
    levels = torch.cat([torch.ones(1).double(), torch.linspace(0.97, 0.002, places).double()])
    chosen = torch.randperm(places - 1, generator=case.generator)[: case.integer(1, 3)] + 1
    stops = [places, *sorted(chosen.tolist(), reverse=True)]
    shape = case.choice(((case.integer(2, 4), 3), (case.integer(1, 2), 1, 2, 3)))
    return toy_student, case.randn(*shape), stops, levels, _seeded(100 + case.seed)


for name, misconception, answer in (
    (
        "no_roots",
        "You mix with alpha-bar and 1 - alpha-bar; the factors are their roots.",
        jump_with(mix=lambda image, noise, bar: bar * image + (1 - bar) * noise),
    ),
    (
        "other_root_only",
        "You mended one factor: both image and noise still have the same one, or they have lost their roots.",
        jump_with(mix=lambda image, noise, bar: math.sqrt(bar) * (image + noise)),
    ),
    (
        "image_whole",
        "You leave the image at full strength and only add noise.",
        jump_with(mix=lambda image, noise, bar: image + math.sqrt(1 - bar) * noise),
    ),
    (
        "noise_whole",
        "You add the noise at full strength, whatever the level.",
        jump_with(mix=lambda image, noise, bar: math.sqrt(bar) * image + noise),
    ),
    (
        "straight",
        "You mix along a straight line, with weights that add up to 1; these levels are diffusion's.",
        jump_with(mix=lambda image, noise, bar: math.sqrt(bar) * image + (1 - math.sqrt(bar)) * noise),
    ),
    (
        "other_end",
        "You turned the list of levels round instead: then the wrong level is looked up.",
        jump_with(
            level=lambda n, before, count: count - 1 - n,
            mix=lambda image, noise, bar: math.sqrt(1 - bar) * image + math.sqrt(bar) * noise,
        ),
    ),
    (
        "level_of_the_last_jump",
        "You noise up to the level that you came from; the next jump begins at a lower one.",
        jump_with(level=lambda n, before, count: before),
    ),
    (
        "one_level_off",
        "You look up the alpha-bar one level too low.",
        jump_with(level=lambda n, before, count: max(0, n - 1)),
    ),
    (
        "no_noise",
        "You do not noise the image again: the student is told of noise that is not there.",
        jump_with(mix=lambda image, noise, bar: math.sqrt(bar) * image),
    ),
    (
        "image_itself",
        "You give the student its own image again.",
        jump_with(mix=lambda image, noise, bar: image),
    ),
    (
        "old_noise",
        "You use the noise of the start again; it has to be fresh in every jump.",
        jump_with(fresh=lambda start, draw: (draw(), start)[1]),
    ),
    (
        "from_the_start",
        "You mix the noise with `x` instead of the image.",
        jump_with(of=lambda image, x: x),
    ),
    (
        "noise_subtracted",
        "You subtract the noise; its sign does not matter for the samples, and the checker compares draws.",
        jump_with(mix=lambda image, noise, bar: math.sqrt(bar) * image - math.sqrt(1 - bar) * noise),
    ),
    (
        "told_the_last_level",
        "You tell the student the level that you came from.",
        jump_with(told=lambda n, before: before),
    ),
    (
        "first_only",
        "You return the image of the first jump.",
        jump_with(report=lambda images, x: images[0]),
    ),
    (
        "noisy_returned",
        "You return the noised image before the last jump.",
        jump_with(report=lambda images, x: x),
    ),
    (
        "all_images",
        "You return the images of all jumps; the last one is wanted.",
        jump_with(report=lambda images, x: images),
    ),
    (
        "one_jump_short",
        "You leave the last jump out.",
        jump_with(fewer=1),
    ),
    (
        "global_random",
        "You draw without `generator`: nobody could repeat your samples.",
        jump_with(generated=lambda generator: None),
    ),
    (
        "graph",
        "You let autograd record everything: the graph of all jumps stays in memory.",
        jump_with(mode=torch.enable_grad, start=lambda x: x.clone().requires_grad_()),
    ),
    (
        "clipped",
        "You clip what the student is given; a noisy image does leave [-1, 1].",
        jump_with(
            mix=lambda image, noise, bar: (math.sqrt(bar) * image + math.sqrt(1 - bar) * noise).clamp(-1, 1)
        ),
    ),
):
    ex.wrong(name, misconception, answer)


@ex.right
def _(student: Any, x: Tensor, stops: list[int], levels: Tensor, generator: torch.Generator) -> Tensor:
    """Mended elsewhere: what is looked up is the share of the noise."""
    with torch.no_grad():
        image = student(x, torch.full((len(x),), stops[0], device=x.device))
        for n in stops[1:]:
            bar = 1 - float(levels[n])
            noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
            x = math.sqrt(1 - bar) * image + math.sqrt(bar) * noise
            image = student(x, torch.full((len(x),), n, device=x.device))
    return image


@ex.right
def _(student: Any, x: Tensor, stops: list[int], levels: Tensor, generator: torch.Generator) -> Tensor:
    """With q_sample."""
    image = student(x, torch.full((len(x),), stops[0], device=x.device)).detach()
    for n in stops[1:]:
        level = torch.full((len(x),), n, device=x.device)
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        image = student(q_sample(image, level, noise, levels), level).detach()
    return image


@ex.right
@torch.no_grad()
def _(student: Any, x: Tensor, stops: list[int], levels: Tensor, generator: torch.Generator) -> Tensor:
    image = x
    for number, n in enumerate(stops):
        if number:
            noise = torch.empty(x.shape, dtype=x.dtype, device=x.device).normal_(generator=generator)
            bar = levels[n].item()
            x = bar**0.5 * image + (1 - bar) ** 0.5 * noise
        image = student(x, x.new_full((x.size(0),), n, dtype=torch.long))
    return image


@ex.right
def _(student: Any, x: Tensor, stops: list[int], levels: Tensor, generator: torch.Generator) -> Tensor:
    def onward(x: Tensor, left: list[int]) -> Tensor:
        image: Tensor = student(x, torch.tensor([left[0]] * len(x), device=x.device))
        if len(left) == 1:
            return image
        angle = math.acos(math.sqrt(float(levels[left[1]])))
        noise = torch.randn(*x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return onward(math.cos(angle) * image + math.sin(angle) * noise, left[1:])

    with torch.inference_mode():
        return onward(x, stops).clone()


ex.breach("A student jumps from any noise level", "told_the_last_level")
ex.breach("The first jump begins at pure noise", jump_with(start=torch.zeros_like))
ex.breach("To use another jump, noise the image again", "image_itself")
ex.breach("up to the next level of the falling list", "level_of_the_last_jump")
ex.breach("with fresh noise from `generator`", "old_noise")
ex.breach("with fresh noise from `generator`", "global_random")
ex.breach("and jump from there", "one_jump_short")
ex.breach("`levels` holds the alpha-bar of each level", "other_end")
ex.breach(
    "Everything stays on the device of `x`",
    jump_with(fresh=lambda start, draw: torch.randn(start.shape, generator=torch.Generator().manual_seed(0))),
)
ex.breach("So after noising the image has the factor", "no_roots")
ex.breach("with the $\\bar\\alpha$ of the level that comes next", "one_level_off")
ex.breach("The image of the last jump is returned", "first_only")
ex.breach("without a graph", "graph")
ex.background("The code below runs", "Find it and mend it")
