"""Lesson 15: the loss that makes a student of few steps."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import left_behind
from gantrans.teaching.exercises.kinds.probing import Said
from lessons.lesson01.exercises.q_sample import q_sample
from lessons.lesson15.exercises._distil import distilled_with, step_down
from lessons.lesson15.exercises._fields import ToyImages, frozen

ex = Exercise(
    id="consistency_loss",
    lesson="15",
    title="The loss of consistency distillation",
    difficulty=3,
    minutes=15,
    spec=r"""
    Two places on one trajectory belong to the same image, so the student shall answer the same at both.
    `student`, `target` and `teacher` are asked as `net(x, n)` and answer with an image; `n` `(B,)` int64
    counts noise levels, and `levels` `(N + 1,)` float64 holds their alpha-bars, 1 at level 0.

    1. The upper place is `x = q_sample(x0, n, noise, levels)`.
    2. The lower place is one level down *on the teacher's trajectory*, a step of DDIM: ask the teacher at
       `x`, work out the noise that goes with its image, $\hat\varepsilon = (x - \sqrt{\bar\alpha_n}\,\hat
       x_0) / \sqrt{1 - \bar\alpha_n}$, in the dtype of `x`, and noise its image with that, to level `n - 1`.
    3. The goal is what `target` answers at the lower place and its level.
    4. Return the mean squared error between `student` at the upper place and the goal, a scalar tensor.

    Only the student learns: no gradient reaches `target` or `teacher`, and the student is asked once. All `n`
    are at least 1. Leave the networks as they are.
    """,
    hints=(
        "Steps 2 and 3 stand inside `with torch.no_grad():`, so that only the student learns.",
        "`bar = levels[n].view(-1, *[1] * (x.dim() - 1))`, in the dtype of `x`; then "
        "`found = (x - bar.sqrt() * image) / (1 - bar).sqrt()`.",
        "`lower = q_sample(image, n - 1, found, levels)`, `goal = target(lower, n - 1)`, and after the block "
        "`F.mse_loss(student(x, n), goal)`.",
    ),
    source="Song, Dhariwal, Chen, Sutskever 2023, algorithm 2, with DDIM as the solver (Song, Meng, Ermon "
    "2021, eq. 12).",
    equivalent={
        "value.detach()": "inside `no_grad` nothing carries a graph, and the data ask for none",
        "`F.mse_loss(student(x, n), goal)` -> `F.mse_loss(goal, student(x, n))`": "a square has no sign",
    },
)


@ex.reference
def consistency_loss(
    student: Callable[..., Tensor],
    target: Callable[..., Tensor],
    teacher: Callable[..., Tensor],
    x0: Tensor,
    n: Tensor,
    noise: Tensor,
    levels: Tensor,
) -> Tensor:
    """Networks (x, n) -> image; x0, noise (B, ...), n (B,) int64, levels (N + 1,) -> scalar loss."""
    x = q_sample(x0, n, noise, levels)
    with torch.no_grad():
        image = teacher(x, n)
        bar = levels[n].view(-1, *[1] * (x.dim() - 1)).to(x.dtype)
        found = (x - bar.sqrt() * image) / (1 - bar).sqrt()
        lower = q_sample(image, n - 1, found, levels)
        goal = target(lower, n - 1)
    return F.mse_loss(student(x, n), goal)


@ex.probe
def _(
    answer: Answer,
    student: nn.Module,
    target: nn.Module,
    teacher: nn.Module,
    x0: Tensor,
    n: Tensor,
    noise: Tensor,
    levels: Tensor,
) -> dict[str, Any]:
    """The loss, its gradients by network, and how often each network was asked."""
    networks = {"student": student, "target": target, "teacher": teacher}
    calls = dict.fromkeys(networks, 0)

    def counted(name: str) -> Callable[..., Tensor]:
        def asked(x: Tensor, n: Tensor) -> Tensor:
            calls[name] += 1
            image: Tensor = networks[name](x, n)
            return image

        return asked

    for net in networks.values():
        net.to(x0.device)
    loss = answer(*(counted(name) for name in networks), x0, n, noise, levels)
    if loss is ...:
        raise NotImplementedError
    seen: dict[str, Any] = {"the loss": loss.detach() if isinstance(loss, Tensor) else loss}
    seen |= {f"calls of `{name}`": count for name, count in calls.items()}
    for name, net in networks.items():
        seen |= _gradients(name, net, loss)
    return seen


def _gradients(name: str, net: nn.Module, loss: Any) -> dict[str, Any]:
    learning = {key: p for key, p in net.named_parameters() if p.requires_grad}
    if isinstance(loss, Tensor) and loss.requires_grad and loss.dim() == 0:
        got: Any = torch.autograd.grad(loss, list(learning.values()), allow_unused=True, retain_graph=True)
    else:
        got = [None] * len(learning)
    return {
        f"the gradient of `{name}.{key}`": Said("none") if value is None else value
        for key, value in zip(learning, got, strict=True)
    }


LEVELS = torch.tensor([1.0, 0.9, 0.5, 0.1, 0.01], dtype=torch.float64)


def _nets(features: int, seed: int, dtype: torch.dtype = torch.float32) -> tuple[ToyImages, ...]:
    return tuple(ToyImages(features, 10 * seed + k, dtype) for k in range(3))


@ex.edges
def _() -> list[Args]:
    points = torch.tensor([[1.0, 2.0], [-3.0, 0.5], [0.0, 4.0]]) / 4
    noise, n = points.flip(0).flip(1) * 2 - 1, torch.tensor([3, 1, 2])
    images = torch.linspace(-1, 1, 8).view(2, 1, 2, 2)
    student, target, teacher = _nets(2, 6)
    return [
        (*_nets(2, 1), points, n, noise, LEVELS),
        (*_nets(2, 2), points[:1], torch.tensor([4]), noise[:1], LEVELS),
        (*_nets(2, 3), points, torch.tensor([1, 1, 1]), noise, LEVELS),  # down to the clean image
        (*_nets(4, 4), images, torch.tensor([2, 4]), -2 * images.flip(-1), LEVELS),
        (*_nets(2, 5), torch.linspace(-2, 1, 6).view(2, 3).T, n, noise, LEVELS),  # not contiguous
        (left_behind(student), target, teacher, points, n, noise, LEVELS),
        (frozen(_nets(2, 7)[0]), *_nets(2, 7)[1:], points, n, noise, LEVELS),  # type: ignore[arg-type]
        (_nets(2, 8)[0], *(net.eval() for net in _nets(2, 8)[1:]), points, n, noise, LEVELS),
        (*_nets(2, 9), points, n, noise, LEVELS[:4]),
    ]


@ex.inputs
def _(case: Case) -> Args:
    shape = case.choice(((case.height,), (1, case.height, case.width), (2,)))
    places = case.integer(2, 12)
    levels = torch.cat([torch.ones(1), torch.linspace(0.97, 0.02, places)]).double()
    n = torch.randint(1, places + 1, (case.batch,), generator=case.generator)
    nets = _nets(int(torch.tensor(shape).prod()), case.seed + 1, case.dtype)
    return *nets, case.randn(case.batch, *shape), n, case.randn(case.batch, *shape), levels


for name, misconception, answer in (
    (
        "student_as_target",
        "You ask the student itself for the goal; the target is its slow average.",
        distilled_with(goal=lambda nets, lower, n: nets["student"](lower, n - 1)),
    ),
    (
        "teacher_as_target",
        "You take the teacher's image at the lower place for the goal; the student would learn its means.",
        distilled_with(goal=lambda nets, lower, n: nets["teacher"](lower, n - 1)),
    ),
    (
        "teachers_image",
        "You take the teacher's image at the upper place for the goal: that is the mean of one jump.",
        distilled_with(goal=lambda nets, lower, n: (nets["target"](lower, n - 1), nets["teacher"].last)[1]),
    ),
    (
        "towards_the_data",
        "You take the clean image for the goal: that trains a denoiser, which answers with means.",
        distilled_with(goal=lambda nets, lower, n: (nets["target"](lower, n - 1), nets["x0"])[1]),
    ),
    (
        "same_level",
        "You tell the target the level of the upper place.",
        distilled_with(goal=lambda nets, lower, n: nets["target"](lower, n)),
    ),
    (
        "wrong_end",
        "You go one level up, to more noise; the lower place has less.",
        distilled_with(down=lambda n, levels: (n + 1).clamp(max=len(levels) - 1)),
    ),
    (
        "to_the_clean_end",
        "You go all the way down to level 0: the goal then is the teacher's own image.",
        distilled_with(down=lambda n, levels: 0 * n),
    ),
    (
        "stays",
        "You do not go down: both answers are at the same place.",
        distilled_with(down=lambda n, levels: n),
    ),
    (
        "fresh_noise",
        "You noise the teacher's image with fresh noise: the two places then have different ends.",
        distilled_with(found=lambda x, image, bar, noise: torch.randn_like(noise)),
    ),
    (
        "given_noise",
        "You noise the teacher's image with `noise`; that of the trajectory is worked out from `x`.",
        distilled_with(found=lambda x, image, bar, noise: noise),
    ),
    (
        "data_path",
        "You go down with the clean image and its noise, without the teacher's answer.",
        distilled_with(image=lambda nets, x, n: nets["x0"], found=lambda x, image, bar, noise: noise),
    ),
    (
        "noise_not_divided",
        "You do not divide by the factor of the noise.",
        distilled_with(found=lambda x, image, bar, noise: x - bar.sqrt() * image),
    ),
    (
        "no_roots",
        "You work the noise out with alpha-bar and 1 - alpha-bar; the factors are their roots.",
        distilled_with(found=lambda x, image, bar, noise: (x - bar * image) / (1 - bar)),
    ),
    (
        "image_at_full_strength",
        "You take the whole image away from `x`; it stands in it with the factor sqrt(alpha-bar).",
        distilled_with(found=lambda x, image, bar, noise: (x - image) / (1 - bar).sqrt()),
    ),
    (
        "lower_bar",
        "You work the noise out with the alpha-bar of the lower level; `x` belongs to the upper one.",
        distilled_with(bar=lambda n: n - 1),
    ),
    (
        "student_below",
        "You ask the student at the lower place and the target at the upper one.",
        distilled_with(turned=True),
    ),
    (
        "clean_image",
        "You ask the student about the clean image.",
        distilled_with(upper=lambda x, x0: x0),
    ),
    (
        "target_learns",
        "You let gradients flow into the target: it would run after the student as the student after it.",
        distilled_with(target_learns=True),
    ),
    (
        "teacher_learns",
        "You let gradients flow into teacher and target; both are asked inside `torch.no_grad()`.",
        distilled_with(teacher_learns=True),
    ),
    (
        "student_cut",
        "You cut the graph behind the student: nothing would learn.",
        distilled_with(compare=lambda ours, goal: F.mse_loss(ours.detach(), goal)),
    ),
    (
        "absolute",
        "You take absolute differences.",
        distilled_with(compare=F.l1_loss),
    ),
    (
        "summed",
        "You sum the squares.",
        distilled_with(compare=lambda ours, goal: F.mse_loss(ours, goal, reduction="sum")),
    ),
    (
        "one_loss_per_sample",
        "You return one loss for each image.",
        distilled_with(compare=lambda ours, goal: (ours - goal).square().flatten(1).mean(1)),
    ),
    (
        "a_number",
        "You return a Python number; the loop needs a tensor whose `.backward()` it can call.",
        distilled_with(compare=lambda ours, goal: F.mse_loss(ours, goal).item()),
    ),
    (
        "asked_twice",
        "You ask the student twice; once is enough.",
        distilled_with(again=True),
    ),
):
    ex.wrong(name, misconception, answer)


@ex.wrong("backward_called", "You call `.backward()` yourself; the loop does that.")
def _(*given: Any) -> Tensor:
    loss = consistency_loss(*given)
    loss.backward(retain_graph=True)
    return loss


@ex.wrong("no_return", "You compute the loss and return nothing: a `return` is missing.")
def _(*given: Any) -> None:
    consistency_loss(*given)


ex.right(distilled_with(compare=lambda ours, goal: (ours - goal).square().mean()))


@ex.right
def _(
    student: Any, target: Any, teacher: Any, x0: Tensor, n: Tensor, noise: Tensor, levels: Tensor
) -> Tensor:
    """Everything detached where it is made."""
    shape = (-1, *[1] * (x0.dim() - 1))
    a, s = levels[n].sqrt().view(shape).to(x0), (1 - levels[n]).sqrt().view(shape).to(x0)
    a_low, s_low = levels[n - 1].sqrt().view(shape).to(x0), (1 - levels[n - 1]).sqrt().view(shape).to(x0)
    x = a * x0 + s * noise
    image = teacher(x, n).detach()
    goal = target(a_low * image + s_low / s * (x - a * image), n - 1).detach()
    error: Tensor = student(x, n) - goal
    return (error**2).sum() / error.numel()


@ex.right
@torch.no_grad()
def _(
    student: Any, target: Any, teacher: Any, x0: Tensor, n: Tensor, noise: Tensor, levels: Tensor
) -> Tensor:
    """The student last, with gradients switched on again."""
    x = q_sample(x0, n, noise, levels)
    goal = target(step_down(x, teacher(x, n), n, n - 1, levels), n - 1)
    with torch.enable_grad():
        return F.mse_loss(goal, student(x, n))


ex.right(distilled_with(compare=lambda ours, goal: F.mse_loss(ours, goal.clone())))

ex.background("Two places on one trajectory belong to the same image", "All `n` are at least 1")
ex.breach("`student`, `target` and `teacher` are asked as `net(x, n)`", "same_level")
ex.breach("The upper place is", "clean_image")
ex.breach("The lower place is one level down", "wrong_end")
ex.breach("*on the teacher's trajectory*", "data_path")
ex.breach("work out the noise that goes with its image", "given_noise")
ex.breach("and noise its image with that", "fresh_noise")
ex.breach("The goal is what `target` answers", "teacher_as_target")
ex.breach("at the lower place and its level", "same_level")
ex.breach("Return the mean squared error", "absolute")
ex.breach("a scalar tensor", "one_loss_per_sample")
ex.breach("Only the student learns", "target_learns")
ex.breach("no gradient reaches `target` or `teacher`", "teacher_learns")
ex.breach("the student is asked once", "asked_twice")
ex.breach("Leave the networks as they are", "backward_called")
