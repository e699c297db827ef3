"""Lesson 09: feature matching through a discriminator's layers."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from lessons.lesson09.exercises._critic import Features, ToyCritic

ex = Exercise(
    id="matched_features",
    lesson="09",
    title="Match what D notices",
    difficulty=3,
    minutes=12,
    spec=r"""
    `critic(condition, image)` gives D's logits and a list of its features, layer by layer. Feature matching
    asks a fake for the same features as the real image has under the same condition:

    $$L_\text{FM} = \frac{w}{K} \sum_{k=1}^{K} \operatorname{mean} \left| D_k(\text{condition}, \text{real})
    - D_k(\text{condition}, \text{fake}) \right|.$$

    Each layer has a mean of its own, over everything in it. With `convention` `"mean"`, $w = 1$; with
    `"sum"`, as in pix2pixHD, $w = 4$. The real features count as constants: no gradient goes from them
    to the real image or to D. The fake's features keep theirs. The logits are not compared. Another
    convention raises a `ValueError`.
    """,
    hints=(
        "Two passes, one for the real image and one for the fake: `_, fakes = critic(condition, fake)`.",
        "The pass over the real image needs no graph: `with torch.no_grad():`, or `.detach()` each real "
        "feature.",
        "`layers = [F.l1_loss(f, r) for f, r in zip(fakes, reals, strict=True)]`, then "
        '`torch.stack(layers).mean()`, times 4 for "sum".',
    ),
    source="Salimans et al. 2016, sec. 3.1; Wang et al. 2018 (pix2pixHD), eq. 3 and its code's factor 4 "
    "/ (n + 1).",
    gradients=("fake", "real"),
    equivalent={
        "-> `F.l1_loss(r, f)`": "a distance is symmetric",
        "`True` -> `False`": "both passes give equally many layers",
        "strict=True": "both passes give equally many layers",
        "`('mean', 'sum')` ->": "the order of the two names does not matter",
    },
)


@ex.reference
def matched_features(
    condition: Tensor,
    fake: Tensor,
    real: Tensor,
    critic: torch.nn.Module,
    convention: str,
) -> Tensor:
    """Three images (B, 1, H, W), a discriminator, "mean" or "sum" -> scalar."""
    if convention not in ("mean", "sum"):
        raise ValueError(f"unknown convention {convention!r}")
    with torch.no_grad():
        _, reals = critic(condition, real)
    _, fakes = critic(condition, fake)
    layers = [F.l1_loss(f, r) for f, r in zip(fakes, reals, strict=True)]
    average = torch.stack(layers).mean()
    return average if convention == "mean" else 4 * average


@ex.edges
def _() -> list[Args]:
    condition = torch.tensor([[[[-1.0, 1.0], [1.0, 0.5]]]])
    fake, real = torch.tensor([[[[0.2, -0.4], [0.9, 0.1]]]]), torch.tensor([[[[1.0, -0.8], [0.3, -0.2]]]])
    critic = ToyCritic(0.7, 1.2, -0.5)
    return [
        *(
            (condition, *pair, critic, c)
            for pair in ((fake, real), (real, real))
            for c in ("mean", "sum", "max", "Mean")
        ),
        (condition, real, fake, critic, "mean"),
        (torch.cat([condition, -condition]), torch.cat([fake, real]), torch.cat([real, fake]), critic, "sum"),
    ]


@ex.inputs
def _(case: Case) -> Args:
    # squashed and not clamped: where two images have the same value the gradient of |x| has no one answer
    images = (case.randn(case.batch, 1, case.height, case.width).tanh() for _ in range(3))
    return *images, ToyCritic(*case.randn(3).tolist()), case.choice(("mean", "sum"))


Critic = Callable[[Tensor, Tensor], tuple[Tensor, Features]]
Distance = Callable[[Tensor, Tensor], Tensor]


def _l1(fake: Tensor, real: Tensor) -> Tensor:
    return (fake - real).abs().mean()


def _answer(
    distance: Distance = _l1,
    layers: slice = slice(None),
    w: tuple[float, float] = (1.0, 4.0),
    *,
    turned: bool = False,
    constants: bool = True,
) -> Callable[[Tensor, Tensor, Tensor, Critic, str], Tensor]:
    """An answer with its own distance, choice of layers or factors, or with condition and image swapped."""

    def answer(condition: Tensor, fake: Tensor, real: Tensor, critic: Critic, convention: str) -> Tensor:
        if convention not in ("mean", "sum"):
            raise ValueError(convention)
        fakes, reals = (
            critic(image, condition)[1] if turned else critic(condition, image)[1] for image in (fake, real)
        )
        reals = [r.detach() for r in reals] if constants else reals
        found = [distance(f, r) for f, r in zip(fakes[layers], reals[layers], strict=True)]
        return w[convention == "sum"] * torch.stack(found).mean()

    return answer


ex.wrong(
    "conventions_swapped",
    "You have the two conventions the wrong way round.",
    _answer(w=(4.0, 1.0)),
)
ex.wrong(
    "plain_sum",
    "For “sum” you return three times the average, or the plain sum of three layers: pix2pixHD's factor is 4 "
    "times the average, however many layers there are.",
    _answer(w=(1.0, 3.0)),
)
ex.wrong(
    "always_mean",
    "You do not look at `convention`: the same weight then pulls four times too weakly.",
    _answer(w=(1.0, 1.0)),
)
ex.wrong(
    "squared",
    "You square the differences; the loss is L1.",
    _answer(lambda f, r: (f - r).square().mean()),
)
ex.wrong(
    "mean_features",
    "You compare the features' means over the map, as Salimans et al. did to match two *sets* of images; "
    "here images are matched in pairs, place by place.",
    _answer(lambda f, r: (f.mean(dim=(2, 3)) - r.mean(dim=(2, 3))).abs().mean()),
)
ex.wrong(
    "signed",
    "You forget the absolute value: too strong and too weak a feature cancel out.",
    _answer(lambda f, r: (f - r).mean()),
)
ex.wrong(
    "summed_inside",
    "You sum over the places of a layer: large maps would drown the small ones.",
    _answer(lambda f, r: (f - r).abs().sum()),
)
ex.wrong(
    "last_layer",
    "You compare the last layer only; the early ones see edges and texture.",
    _answer(layers=slice(-1, None)),
)
ex.wrong("first_layer", "You compare the first layer only.", _answer(layers=slice(0, 1)))
ex.wrong(
    "turned",
    "You give D the image where it expects the condition: its channels have fixed places.",
    _answer(turned=True),
)
ex.wrong(
    "real_not_constant",
    "You let the gradient into the real features, too: nobody uses it, and its pass costs time and memory.",
    _answer(constants=False),
)
ex.wrong(
    "fake_constant",
    "You detach the fake's features: then the generator learns nothing.",
    lambda condition, fake, real, critic, c: _answer()(condition, fake.detach(), real, critic, c),
)
ex.wrong(
    "constants_turned",
    "You detach the fake's features instead of the real ones.",
    lambda condition, fake, real, critic, c: _answer()(condition, real, fake.detach(), critic, c),
)


@ex.wrong("one_mean", "You take one mean over all features together: the largest layer decides nearly alone.")
def _(condition: Tensor, fake: Tensor, real: Tensor, critic: Critic, convention: str) -> Tensor:
    weight = {"mean": 1, "sum": 4}
    if convention not in weight:
        raise ValueError
    found = [
        (f - r.detach()).abs().flatten()
        for f, r in zip(critic(condition, fake)[1], critic(condition, real)[1], strict=True)
    ]
    return weight[convention] * torch.cat(found).mean()


@ex.wrong("logits_too", "You compare the logits as well: what D says is the adversarial loss's business.")
def _(condition: Tensor, fake: Tensor, real: Tensor, critic: Critic, convention: str) -> Tensor:
    weight = {"mean": 1, "sum": 4}
    if convention not in weight:
        raise ValueError
    (logits, fakes), (verdict, reals) = critic(condition, fake), critic(condition, real)
    found = [_l1(f, r.detach()) for f, r in zip([*fakes, logits], [*reals, verdict], strict=True)]
    return weight[convention] * torch.stack(found).mean()


ex.wrong(
    "unknown_accepted",
    "You take every convention that is not “sum” for “mean”; an unknown one must raise a ValueError.",
    lambda condition, fake, real, critic, c: _answer()(
        condition, fake, real, critic, "sum" if c == "sum" else "mean"
    ),
)
ex.wrong(
    "unknown_is_sum",
    "You take every convention that is not “mean” for “sum”; an unknown one must raise a ValueError.",
    lambda condition, fake, real, critic, c: _answer()(
        condition, fake, real, critic, "mean" if c == "mean" else "sum"
    ),
)
ex.wrong(
    "added_up",
    "You add the layers up and do not divide by their number: three layers then pull three times as hard.",
    _answer(w=(3.0, 12.0)),
)
ex.wrong(
    "without_condition",
    "You give D the image in the place of the condition as well; both passes take the same condition.",
    lambda condition, fake, real, critic, c: _two_passes(fake, fake, real, real, critic, c),
)
ex.wrong(
    "logits_only",
    "You compare the logits, which are not compared here, and not the features.",
    lambda condition, fake, real, critic, c: (
        {"mean": 1.0, "sum": 4.0}.get(c, float("nan"))
        * _l1(critic(condition, fake)[0], critic(condition, real)[0].detach())
    ),
)
ex.wrong(
    "tuple_per_layer",
    "You return a number per layer; their mean was asked for.",
    lambda condition, fake, real, critic, c: torch.stack(
        [
            _l1(f, r.detach())
            for f, r in zip(critic(condition, fake)[1], critic(condition, real)[1], strict=True)
        ]
    ),
)


def _two_passes(
    given: Tensor, fake: Tensor, other: Tensor, real: Tensor, critic: Critic, convention: str
) -> Tensor:
    """Feature matching with a condition of its own for either pass."""
    weight = {"mean": 1.0, "sum": 4.0}
    if convention not in weight:
        raise ValueError(convention)
    pairs = zip(critic(given, fake)[1], critic(other, real)[1], strict=True)
    return weight[convention] * torch.stack([_l1(f, r.detach()) for f, r in pairs]).mean()


ex.wrong(
    "image_detached_only",
    "You detach the real image but not its features: D's weights are taught through them.",
    lambda condition, fake, real, critic, c: _answer(constants=False)(
        condition, fake, real.detach(), critic, c
    ),
)


ex.right(_answer())


@ex.right
def _(condition: Tensor, fake: Tensor, real: Tensor, critic: Critic, convention: str) -> Tensor:
    if convention == "mean":
        weight = 1.0
    elif convention == "sum":
        weight = 4.0
    else:
        raise ValueError("mean or sum")
    wanted = [feature.detach() for feature in critic(condition, real)[1]]
    total = fake.new_zeros(())
    for got, want in zip(critic(condition, fake)[1], wanted, strict=True):
        total = total + (want - got).abs().sum() / got.numel()
    return weight * total / len(wanted)


@ex.right
def _(condition: Tensor, fake: Tensor, real: Tensor, critic: Critic, convention: str) -> Tensor:
    # one pass over both batches
    size = len(fake)
    _, features = critic(torch.cat([condition, condition]), torch.cat([fake, real]))
    layers = [torch.nn.L1Loss()(f[:size], f[size:].detach()) for f in features]
    try:
        return sum(layers[1:], layers[0]) * {"mean": 1 / len(layers), "sum": 4 / len(layers)}[convention]
    except KeyError as error:
        raise ValueError(convention) from error


@ex.right
def _(condition: Tensor, fake: Tensor, real: Tensor, critic: Critic, convention: str) -> Tensor:
    match convention:
        case "mean" | "sum":
            with torch.inference_mode():
                reals = critic(condition, real)[1]
            fakes = critic(condition, fake)[1]
            means = [torch.mean(torch.abs(r.clone() - f)) for f, r in zip(fakes, reals, strict=True)]
            return torch.stack(means).sum().mul(4 if convention == "sum" else 1).div(len(means))
    raise ValueError(f"convention {convention}")


ex.background("`critic(condition, image)` gives")
ex.breach("under the same condition", "without_condition")
ex.breach(r"$$L_\text{FM} = ", "signed")
ex.breach("Each layer has a mean of its own", "one_mean")
ex.breach("With `convention` `", "conventions_swapped")
ex.breach("The real features count as constants", "real_not_constant")
ex.breach("The fake's features keep theirs.", "fake_constant")
ex.breach("The logits are not compared.", "logits_too")
ex.breach("Another convention raises a `ValueError`.", "unknown_accepted")


ex.breach("to the real image or to D", "image_detached_only")
