"""Lesson 15: a student that is the identity where there is no noise."""

import torch
from torch import Tensor, nn

from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import ModuleExercise
from lessons.lesson15.exercises._students import Base, ToyLabelled, with_forward

ex = ModuleExercise(
    id="consistent",
    lesson="15",
    title="A student with a skip",
    difficulty=2,
    minutes=10,
    draws=4,
    given=("__init__",),
    initial=("keep",),
    spec=r"""
    Write `forward` of the student. It gets noisy images `x` `(B, ...)`, their noise levels `n` `(B,)` int64,
    and labels `label` `(B,)`, and returns an image for each. `__init__` is given. Two tables there are looked
    up with `n`: `self.clock` has the timestep that the network is told, and `self.keep` says how much of `x`
    is kept. Ask the network, `self.net(x, t, label)`, and mix,

    $$f(x, n) = \text{keep}\;x + (1 - \text{keep})\;\text{net}(x, t, \text{label}).$$

    At level 0 `keep` is 1, so there the student returns `x` itself, whatever the network says. Gradients flow
    to the network's weights and to `x`. Leave `x` as it is, and do the same in train and eval mode.
    """,
    hints=(
        "Two look-ups, `self.clock[n]` and `self.keep[n]`; both give one number for each image.",
        "`keep = self.keep[n].view(-1, *[1] * (x.dim() - 1))` has the axes of an image.",
        "`return keep * x + (1 - keep) * self.net(x, self.clock[n], label)`",
    ),
    source="Song, Dhariwal, Chen, Sutskever 2023, eq. 5 (the skip); Luo et al. 2023, sec. 4 (one that falls "
    "quickly, as here).",
    equivalent={
        ".8 value.float()": "the state is float32 already",
        "12.8 value.detach()": "a buffer carries no graph",
    },
)


@ex.reference
class Consistent(nn.Module):
    """x (B, ...), level n (B,) int64, label (B,) -> an image like x; x itself at level 0."""

    def __init__(self, net: nn.Module, clock: Tensor, levels: Tensor) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("clock", clock)  # the timestep of each level
        self.register_buffer("keep", (1 / (1 + 100 * (1 - levels) / levels)).float())

    def forward(self, x: Tensor, n: Tensor, label: Tensor) -> Tensor:
        """x (B, ...), n (B,), label (B,) -> like x."""
        keep = self.keep[n].view(-1, *[1] * (x.dim() - 1))  # type: ignore[index]
        mixed: Tensor = keep * x + (1 - keep) * self.net(x, self.clock[n], label)  # type: ignore[index]
        return mixed


CLOCK = torch.tensor([0, 249, 499, 749, 999])
LEVELS = torch.tensor([1.0, 0.9, 0.5, 0.1, 0.001], dtype=torch.float64)


@ex.edges
def _() -> list[Args]:
    points = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    images = torch.linspace(-2, 2, 8).view(2, 1, 2, 2)
    net, of_images = ToyLabelled(2), ToyLabelled(4)
    return [
        (net, CLOCK, LEVELS, points, torch.tensor([3, 1]), torch.tensor([0, 2])),
        (net, CLOCK, LEVELS, points[:1], torch.tensor([4]), torch.tensor([5])),
        (net, CLOCK, LEVELS, points, torch.tensor([0, 0]), torch.tensor([1, 1])),
        (of_images, CLOCK, LEVELS, images, torch.tensor([2, 4]), torch.tensor([3, 4])),
        (net, CLOCK[:3], LEVELS[:3], torch.linspace(-1, 2, 6).view(2, 3).T, torch.tensor([2, 0, 1]),
         torch.tensor([0, 1, 5])),
    ]  # fmt: skip


@ex.inputs
def _(case: Case) -> Args:
    places = case.integer(2, 9)
    clock = torch.tensor([0, *(round(1000 * i / places) - 1 for i in range(1, places + 1))])
    levels = torch.cat([torch.ones(1), 0.95 - 0.9 * torch.arange(places) / places]).double()
    n = torch.randint(places + 1, (case.batch,), generator=case.generator)
    label = torch.randint(6, (case.batch,), generator=case.generator)
    x = torch.randn(case.batch, 1, 2, 3, generator=case.generator)
    return ToyLabelled(6), clock, levels, x, n, label


for name, misconception, answer in (
    (
        "swapped",
        "You keep `1 - keep` of `x`: at level 0 the student would be the network alone.",
        lambda self, x, n, label: (
            (1 - self.share(x, n)) * x + self.share(x, n) * self.net(x, self.clock[n], label)
        ),
    ),
    (
        "no_skip",
        "You return the network's image: at level 0 it is not `x`, so nothing holds the chain of levels.",
        lambda self, x, n, label: self.net(x, self.clock[n], label),
    ),
    (
        "added",
        "You add the whole image of the network to what is kept; it gets the rest, `1 - keep`.",
        lambda self, x, n, label: self.share(x, n) * x + self.net(x, self.clock[n], label),
    ),
    (
        "whole_x",
        "You keep the whole of `x`; only the share `keep` of it stays.",
        lambda self, x, n, label: x + (1 - self.share(x, n)) * self.net(x, self.clock[n], label),
    ),
    (
        "only_x",
        "You return what is kept and leave the network out.",
        lambda self, x, n, label: self.share(x, n) * x + 0 * self.net(x, self.clock[n], label),
    ),
    (
        "levels_as_time",
        "You tell the network the number of the level; it was trained with timesteps, `self.clock[n]`.",
        lambda self, x, n, label: self.share(x, n) * x + (1 - self.share(x, n)) * self.net(x, n, label),
    ),
    (
        "one_level_off",
        "You look the timestep up one level too low.",
        lambda self, x, n, label: (
            self.share(x, n) * x
            + (1 - self.share(x, n)) * self.net(x, self.clock[(n - 1).clamp(min=0)], label)
        ),
    ),
    (
        "keep_one_level_off",
        "You look `keep` up one level too low: at level 1 nothing would be asked of the network.",
        lambda self, x, n, label: (
            self.share(x, (n - 1).clamp(min=0)) * x
            + (1 - self.share(x, (n - 1).clamp(min=0))) * self.net(x, self.clock[n], label)
        ),
    ),
    (
        "first_for_all",
        "You use the first level for the whole batch; every image has its own.",
        lambda self, x, n, label: (
            self.share(x, n[:1]) * x
            + (1 - self.share(x, n[:1])) * self.net(x, self.clock[n[:1]].expand(len(x)), label)
        ),
    ),
    (
        "rooted",
        "You take roots of the shares; they add up to 1 as they are.",
        lambda self, x, n, label: (
            self.share(x, n).abs().sqrt() * x
            + (1 - self.share(x, n)).abs().sqrt() * self.net(x, self.clock[n], label)
        ),
    ),
    (
        "mixed_before",
        "You give the network what is kept of `x`; it is asked about `x` itself.",
        lambda self, x, n, label: (
            self.share(x, n) * x
            + (1 - self.share(x, n)) * self.net(self.share(x, n) * x, self.clock[n], label)
        ),
    ),
    (
        "clipped",
        "You clip the result; at level 0 it has to be `x`, whatever that is.",
        lambda self, x, n, label: (
            self.share(x, n) * x + (1 - self.share(x, n)) * self.net(x, self.clock[n], label)
        ).clamp(-1, 1),
    ),
    (
        "image_detached",
        "You cut the graph behind the network: it could not learn.",
        lambda self, x, n, label: (
            self.share(x, n) * x + (1 - self.share(x, n)) * self.net(x, self.clock[n], label).detach()
        ),
    ),
    (
        "x_detached",
        "You cut the graph at `x`: a gradient through the noisy image is missing.",
        lambda self, x, n, label: (
            self.share(x, n) * x.detach()
            + (1 - self.share(x, n)) * self.net(x.detach(), self.clock[n], label)
        ),
    ),
    (
        "no_label",
        "You do not hand the label on (you give zeros).",
        lambda self, x, n, label: (
            self.share(x, n) * x
            + (1 - self.share(x, n)) * self.net(x, self.clock[n], torch.zeros_like(label))
        ),
    ),
    (
        "in_place",
        "You write the result into the `x` you were given.",
        lambda self, x, n, label: x.data.mul_(self.share(x, n)).add_(
            (1 - self.share(x, n)) * self.net(x.clone(), self.clock[n], label)
        ),
    ),
    (
        "broadcast_from_the_right",
        "You multiply `keep`, one number for each image, with images as it is: broadcasting starts from the "
        "right.",
        lambda self, x, n, label: self.keep[n] * x + (1 - self.keep[n]) * self.net(x, self.clock[n], label),
    ),
    (
        "returned_nothing",
        "You compute the image and return nothing: a `return` is missing.",
        lambda self, x, n, label: (self.share(x, n), None)[1],
    ),
):
    ex.wrong(name, misconception, with_forward(answer))

ex.right(
    with_forward(lambda self, x, n, label: torch.lerp(self.net(x, self.clock[n], label), x, self.share(x, n)))
)


@ex.right
@with_forward
def _(self: Base, x: Tensor, n: Tensor, label: Tensor) -> Tensor:
    keep = self.keep.index_select(0, n)
    while keep.dim() < x.dim():
        keep = keep.unsqueeze(-1)
    image: Tensor = self.net(x, self.clock.index_select(0, n), label)
    return image + keep * (x - image)


@ex.right
@with_forward
def _(self: Base, x: Tensor, n: Tensor, label: Tensor) -> Tensor:
    image = self.net(x, self.clock[n], label)
    return torch.stack(
        [self.keep[k] * a + (1 - self.keep[k]) * b for k, a, b in zip(n, x, image, strict=True)]
    )


@ex.right
@with_forward
def _(self: Base, x: Tensor, n: Tensor, label: Tensor) -> Tensor:
    kept = torch.einsum("b,b...->b...", self.keep[n], x)
    return kept + torch.einsum("b,b...->b...", 1 - self.keep[n], self.net(x, self.clock[n], label))


@ex.right
@with_forward
def _(self: Base, x: Tensor, n: Tensor, label: Tensor) -> Tensor:
    keep = self.keep[n].reshape(len(x), *(1,) * (x.ndim - 1))
    timesteps = torch.gather(self.clock, 0, n)
    return x - (1 - keep) * (x - self.net(x, timesteps, label))


ex.background("`__init__` is given", "Write `forward` of the student")
ex.breach("It gets noisy images", with_forward(lambda self, x, n, label: self.net(x, n, n)))
ex.breach("and returns an image for each", "returned_nothing")
ex.breach("Two tables there are looked up with `n`", "levels_as_time")
ex.breach("`self.keep` says how much of `x` is kept", "keep_one_level_off")
ex.breach("Ask the network", "no_label")
ex.breach("and mix", "added")
ex.breach("$$f(x, n) = ", "rooted")
ex.breach("At level 0 `keep` is 1", "swapped")
ex.breach("there the student returns `x` itself", "clipped")
ex.breach("Gradients flow to the network's weights", "image_detached")
ex.breach("and to `x`", "x_detached")
ex.breach("Leave `x` as it is", "in_place")
ex.breach(
    "do the same in train and eval mode",
    with_forward(
        lambda self, x, n, label: (
            x if self.training else self.share(x, n) * x + (1 - self.share(x, n)) * self.net(x, n, label)
        )
    ),
)
