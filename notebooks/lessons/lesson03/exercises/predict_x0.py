"""Lesson 03: the image that a prediction stands for."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

ex = Exercise(
    id="predict_x0",
    lesson="03",
    title="Three predictions, one image",
    difficulty=2,
    minutes=10,
    spec=r"""
    With $a = \sqrt{\bar\alpha_t}$ and $s = \sqrt{1 - \bar\alpha_t}$ the network saw $x_t = a\,x_0 +
    s\,\varepsilon$. What it answers is one of three things: the noise (`"epsilon"`), the image (`"x0"`), or
    $v = a\,\varepsilon - s\,x_0$ (`"v"`). Turn the answer into the image; any other name of a prediction is a
    `ValueError`.

    `output` and `x_t` are `(B, ...)` of one dtype, with any number of further axes, `t` is `(B,)` int64,
    `alpha_bars` is `(T,)` float64. The result is like `x_t`; gradients flow to `output` and `x_t`.
    """,
    hints=(
        "For epsilon solve x_t = a x_0 + s epsilon for x_0. For v work out a x_t - s v on paper: "
        "a^2 + s^2 = 1.",
        "One factor per sample: `alpha_bars[t].view(-1, *[1] * (x_t.dim() - 1))`, as in `q_sample`.",
        "epsilon: `(x_t - s * output) / a`; v: `a * x_t - s * output`; x0: `output`.",
    ),
    source="Ho, Jain, Abbeel 2020, eq. 4 and 15; Salimans, Ho 2022, sec. 4 and appendix D (v).",
    gradients=("output", "x_t"),
    equivalent={
        "3.4 value.double()": "the schedule is float64 already",
        "3.4 value.detach()": "no gradient flows through a schedule",
    },
)


@ex.reference
def predict_x0(output: Tensor, x_t: Tensor, t: Tensor, alpha_bars: Tensor, prediction: str) -> Tensor:
    """output ("epsilon", "x0" or "v"), x_t (B, ...), t (B,) int64, alpha_bars (T,) -> x0 like x_t."""
    share = alpha_bars[t].view(-1, *[1] * (x_t.dim() - 1))
    signal, sigma = share.sqrt().to(x_t.dtype), (1 - share).sqrt().to(x_t.dtype)
    if prediction == "epsilon":
        return (x_t - sigma * output) / signal
    if prediction == "v":
        return signal * x_t - sigma * output
    if prediction == "x0":
        return output
    raise ValueError(f"there is no prediction {prediction!r}")


def _bars(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@ex.edges
def _() -> list[Args]:
    x = torch.tensor([[[[1.0, 2.0], [3.0, 5.0]]], [[[2.0, 7.0], [1.0, 1.0]]]])  # B = H = W = 2
    out, t, bars = x.flip(-1) - 4, torch.tensor([0, 2]), _bars(0.81, 0.64, 0.04)
    return [
        *((out, x, t, bars, prediction) for prediction in ("epsilon", "v", "x0", "eps", "noise", "", "V")),
        (out, x, t, bars, "velocity"),
        *((x[:, 0, 0, 0], x[:, 0, 1, 1], t, bars, prediction) for prediction in ("v", "epsilon", "x0")),
        (
            x.double().mT,
            x.double().permute(1, 0, 3, 2).mT.transpose(0, 1),
            torch.tensor([2, 9, 1])[::2],
            bars,
            "v",
        ),
        *((out, x, torch.tensor([2, 0]), _bars(1.0, 0.5, 1e-4), name) for name in ("epsilon", "v")),
        (out[:1], x[:1], torch.tensor([1]), _bars(0.5, 0.0), "v"),
        (out[:1], x[:1], torch.tensor([1]), _bars(0.5, 0.0), "x0"),
        (out[:, 0, 0], x[:, 0, 0], torch.tensor([1, 0]), bars, "epsilon"),
    ]


@ex.inputs
def _(case: Case) -> Args:
    steps = case.integer(2, 20)
    bars = 0.95 * torch.rand(steps, generator=case.generator, dtype=torch.float64) + 0.02
    shape = case.choice(
        ((case.batch, case.height), (case.batch, 1, case.height, case.width), (case.batch, 3, 2))
    )
    t = torch.randint(0, steps, (case.batch,), generator=case.generator)
    names = ("epsilon", "v", "x0")
    return case.randn(*shape), case.randn(*shape), t, bars.sort(descending=True).values, names[case.seed % 3]


def _from(output: Tensor, x_t: Tensor, share: Tensor, prediction: str) -> Tensor:
    a, s = (v.to(x_t.dtype).view(-1, *[1] * (x_t.dim() - 1)) for v in (share.sqrt(), (1 - share).sqrt()))
    if prediction == "epsilon":
        return (x_t - s * output) / a
    return {"v": a * x_t - s * output, "x0": output}[_known(prediction)]


def _known(prediction: str) -> str:
    if prediction not in ("epsilon", "x0", "v"):
        raise ValueError(prediction)
    return prediction


ex.wrong(
    "no_roots",
    "You use alpha-bar and 1 - alpha-bar as factors; those are variances, the factors are their roots.",
    lambda out, x, t, bars, name: (
        _from(out, x, bars[t], name)
        if _known(name) == "x0"
        else (_shaped(bars[t], x) * x - _shaped(1 - bars[t], x) * out)
        if name == "v"
        else (x - _shaped(1 - bars[t], x) * out) / _shaped(bars[t], x)
    ),
)
ex.wrong(
    "swapped",
    "You have the factors the wrong way round: alpha-bar belongs to the image.",
    lambda out, x, t, bars, name: _from(out, x, 1 - bars[t], name),
)
ex.wrong(
    "not_divided",
    "You take the noise away but do not divide by sqrt(alpha-bar): what is left is the image, made faint.",
    lambda out, x, t, bars, name: (
        x - _shaped((1 - bars[t]).sqrt(), x) * out if name == "epsilon" else _from(out, x, bars[t], name)
    ),
)
ex.wrong(
    "divided_too_early",
    "You divide only x_t by sqrt(alpha-bar); the noise in it grows by the same factor.",
    lambda out, x, t, bars, name: (
        x / _shaped(bars[t].sqrt(), x) - _shaped((1 - bars[t]).sqrt(), x) * out
        if name == "epsilon"
        else _from(out, x, bars[t], name)
    ),
)
ex.wrong(
    "noise_at_full_strength",
    "You take epsilon away at full strength; x_t holds only sqrt(1 - alpha-bar) of it.",
    lambda out, x, t, bars, name: (
        (x - out) / _shaped(bars[t].sqrt(), x) if name == "epsilon" else _from(out, x, bars[t], name)
    ),
)
ex.wrong(
    "v_added",
    "You add the part of v; in a x_t - s v it is this minus sign that makes epsilon cancel.",
    lambda out, x, t, bars, name: _from(-out if name == "v" else out, x, bars[t], name),
)
ex.wrong(
    "v_gives_noise",
    "You work out epsilon from v (s x_t + a v); the image is a x_t - s v.",
    lambda out, x, t, bars, name: (
        _shaped((1 - bars[t]).sqrt(), x) * x + _shaped(bars[t].sqrt(), x) * out
        if name == "v"
        else _from(out, x, bars[t], name)
    ),
)
ex.wrong(
    "v_as_epsilon",
    "You treat v as if it were the noise.",
    lambda out, x, t, bars, name: _from(out, x, bars[t], "epsilon" if name == "v" else name),
)
ex.wrong(
    "x0_converted",
    "You convert a predicted image once more; it is the answer already.",
    lambda out, x, t, bars, name: _from(out, x, bars[t], "epsilon" if name == "x0" else name),
)
ex.wrong(
    "unknown_as_x0",
    "You take every name that you do not know for x0: a misspelt “eps” then samples nonsense in silence.",
    lambda out, x, t, bars, name: _from(out, x, bars[t], name if name in ("epsilon", "v") else "x0"),
)
ex.wrong(
    "clipped",
    "You clip the image in here; whether to clip is the sampler's choice, and a loss needs the raw value.",
    lambda out, x, t, bars, name: _from(out, x, bars[t], name).clamp(-1, 1),
)
ex.wrong(
    "one_based",
    "You look up t - 1: in code t counts from 0, so t = 0 would read the *last* entry.",
    lambda out, x, t, bars, name: _from(out, x, bars[t - 1], name),
)
ex.wrong(
    "first_t_for_all",
    "You use the first timestep for the whole batch; every sample has its own.",
    lambda out, x, t, bars, name: _from(out, x, bars[t[:1]], name),
)
ex.wrong(
    "float64",
    "You let the float64 schedule turn the images into float64.",
    lambda out, x, t, bars, name: _from(out, x, bars[t], name).double(),
)
ex.wrong(
    "detached",
    "You cut the graph: a loss on the image could not train the network.",
    lambda out, x, t, bars, name: _from(out.detach(), x.detach(), bars[t], name),
)


@ex.wrong(
    "broadcast_from_the_right",
    "You multiply (B,) with (B, ...) as it is: broadcasting starts from the right, along the last axis.",
)
def _(output: Tensor, x_t: Tensor, t: Tensor, alpha_bars: Tensor, prediction: str) -> Tensor:
    a, s = alpha_bars[t].sqrt().to(x_t.dtype), (1 - alpha_bars[t]).sqrt().to(x_t.dtype)
    if _known(prediction) == "epsilon":
        return (x_t - s * output) / a
    return output if prediction == "x0" else a * x_t - s * output


def _shaped(factor: Tensor, like: Tensor) -> Tensor:
    return factor.to(like.dtype).view(-1, *[1] * (like.dim() - 1))


ex.right(lambda out, x, t, bars, name: _from(out, x, bars[t], name))


@ex.right
def _(output: Tensor, x_t: Tensor, t: Tensor, alpha_bars: Tensor, prediction: str) -> Tensor:
    share = alpha_bars.to(x_t)[t].reshape(len(x_t), *(1,) * (x_t.ndim - 1))
    a, s = torch.sqrt(share), torch.sqrt(1 - share)
    match prediction:
        case "x0":
            return output
        case "epsilon":
            return x_t / a - s / a * output
        case "v":
            return a * x_t - s * output
    raise ValueError(prediction)


@ex.right
def _(output: Tensor, x_t: Tensor, t: Tensor, alpha_bars: Tensor, prediction: str) -> Tensor:
    images = []
    for out, x, bar in zip(output, x_t, alpha_bars[t], strict=True):
        a, s = float(bar**0.5), float((1 - bar) ** 0.5)
        if prediction == "x0":
            images.append(out)
        elif prediction == "epsilon":
            images.append((x - s * out) / a)
        elif prediction == "v":
            images.append(a * x - s * out)
        else:
            raise ValueError("prediction")
    return torch.stack(images)


@ex.right
def _(output: Tensor, x_t: Tensor, t: Tensor, alpha_bars: Tensor, prediction: str) -> Tensor:
    # factors of x_t and of the output, each (B,)
    a, s = alpha_bars[t].sqrt(), (1 - alpha_bars[t]).sqrt()
    table = {"epsilon": (1 / a, -s / a), "v": (a, -s), "x0": (torch.zeros_like(a), torch.ones_like(a))}
    if prediction not in table:
        raise ValueError(f"{prediction} is not one of {list(table)}")
    of_x, of_output = (_shaped(factor, x_t) for factor in table[prediction])
    return of_x * x_t + of_output * output


@ex.right
def _(output: Tensor, x_t: Tensor, t: Tensor, alpha_bars: Tensor, prediction: str) -> Tensor:
    if prediction == "x0":
        return output.clone()
    # from alpha-bar = cos^2: x_t and v are x0 and epsilon, turned by an angle
    angle = torch.acos(alpha_bars[t].sqrt())
    cos, sin = (v.to(x_t.dtype) for v in (angle.cos(), angle.sin()))
    if prediction == "v":
        return torch.einsum("b,b...->b...", cos, x_t) - torch.einsum("b,b...->b...", sin, output)
    if prediction == "epsilon":
        return torch.einsum("b,b...->b...", 1 / cos, x_t - torch.einsum("b,b...->b...", sin, output))
    raise ValueError(prediction)


ex.wrong(
    "unknown_as_epsilon",
    "You take every name that you do not know for epsilon: a typing mistake then goes unseen.",
    lambda out, x, t, bars, name: _from(out, x, bars[t], name if name in ("x0", "v") else "epsilon"),
)
ex.wrong(
    "unknown_as_v",
    "You take every name that you do not know for v: a typing mistake then goes unseen.",
    lambda out, x, t, bars, name: _from(out, x, bars[t], name if name in ("x0", "epsilon") else "v"),
)
ex.wrong(
    "first_letter",
    "You look at the first letter of the name only; any other name than the three is an error.",
    lambda out, x, t, bars, name: _from(
        out, x, bars[t], str({"e": "epsilon", "v": "v", "x": "x0"}.get(name[:1], name))
    ),
)
ex.wrong(
    "returned_none",
    "You return nothing for an unknown name; raise a `ValueError`.",
    lambda out, x, t, bars, name: (
        _from(out, x, bars[t], name) if name in ("epsilon", "v", "x0") else None  # type: ignore[return-value]
    ),
)
ex.wrong(
    "noise_added",
    "You add the noise instead of taking it away: x_t = a x0 + s epsilon, so it is subtracted.",
    lambda out, x, t, bars, name: _from(-out if name == "epsilon" else out, x, bars[t], name),
)
ex.wrong(
    "multiplied_by_a",
    "You multiply by sqrt(alpha-bar) instead of dividing by it.",
    lambda out, x, t, bars, name: (
        _shaped(bars[t].sqrt(), x) * (x - _shaped((1 - bars[t]).sqrt(), x) * out)
        if name == "epsilon"
        else _from(out, x, bars[t], name)
    ),
)
ex.wrong(
    "divided_by_alpha_bar",
    "You divide by alpha-bar instead of its root.",
    lambda out, x, t, bars, name: (
        (x - _shaped((1 - bars[t]).sqrt(), x) * out) / _shaped(bars[t], x)
        if name == "epsilon"
        else _from(out, x, bars[t], name)
    ),
)
ex.wrong(
    "v_factors_swapped",
    "You have the factors of x_t and v the wrong way round: the image is a x_t - s v.",
    lambda out, x, t, bars, name: (
        _shaped((1 - bars[t]).sqrt(), x) * x - _shaped(bars[t].sqrt(), x) * out
        if name == "v"
        else _from(out, x, bars[t], name)
    ),
)
ex.wrong(
    "always_images",
    "You shape the factors for maps `(B, C, H, W)` only; x_t may have any number of axes.",
    lambda out, x, t, bars, name: (
        _from(out, x, bars[t], name)
        if _known(name) == "x0" or x.dim() == 4
        else (bars[t].view(-1, 1, 1, 1) * x)
    ),
)
common_slips(ex, "returned_nothing", "assertion")

ex.breach("the network saw", "no_roots")
ex.breach("What it answers is one of three things", "x0_converted")
ex.breach("What it answers is one of three things", "v_as_epsilon")
ex.breach("Turn the answer into the image", "v_gives_noise")
ex.breach("any other name", "unknown_as_x0")
ex.breach("any other name", "first_letter")
ex.breach("any number of further axes", "always_images")
ex.breach("any number of further axes", "broadcast_from_the_right")
ex.breach("`t` is `(B,)` int64", "first_t_for_all")
ex.breach("The result is like", "float64")
ex.breach("gradients flow to", "detached")
