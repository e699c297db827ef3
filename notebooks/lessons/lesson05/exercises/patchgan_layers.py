"""Lesson 05: the table of PatchGAN's layers."""

from collections.abc import Callable
from itertools import accumulate, pairwise

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

Layer = tuple[int, int, int, int, int]
Channels = Callable[[int, int, int], list[int]]
Strides = Callable[[int], list[int]]

ex = Exercise(
    id="patchgan_layers",
    lesson="05",
    title="PatchGAN as a table",
    difficulty=3,
    minutes=12,
    spec="""
    A PatchGAN is a short list of convolutions. Return it, from the input to the logits: one
    `(in, out, kernel, stride, padding)` per layer. Kernel 4 and padding 1 throughout. The input has 2
    channels, condition and image. It starts with `n_layers` (1 or more) layers of stride 2, where layer k
    (from 0) gives `min(base * 2**k, cap)` channels. Then follows one of stride 1 that goes on with the same
    rule (k = `n_layers`). The last one, of stride 1 too, gives a single channel, the logits.
    """,
    hints=(
        "There are `n_layers + 2` layers. Write down the list of channels first: 2, then the "
        "rule for k = 0 .. n_layers, then 1.",
        "For base 48, n_layers 3, cap 256 the channels are 2, 48, 96, 192, 256, 1.",
        "Each layer goes from one number of that list to the next; only the first `n_layers` have stride 2.",
    ),
    source="Isola et al. 2017, appendix 6.1.2; the full preset of the course: 48, 96, 192, 256, 1.",
    equivalent={"-> `min(cap, ": "the smaller of two numbers, in either order"},
)


@ex.reference
def patchgan_layers(base: int, n_layers: int, cap: int) -> list[tuple[int, int, int, int, int]]:
    """(in, out, kernel, stride, padding) of the `n_layers + 2` convolutions, from input to logits."""
    channels = [2] + [min(base * 2**k, cap) for k in range(n_layers + 1)] + [1]
    strides = [2] * n_layers + [1, 1]
    return [(channels[i], channels[i + 1], 4, strides[i], 1) for i in range(n_layers + 2)]


@ex.edges
def _() -> list[Args]:
    return [
        (48, 3, 256),
        (48, 1, 256),
        (16, 2, 256),
        (64, 5, 512),
        (8, 4, 20),
        (4, 1, 3),
        (1, 2, 1),
        (5, 3, 40),
        (100, 6, 7),
        (2, 1, 4),
    ]


@ex.inputs
def _(case: Case) -> Args:
    return case.integer(1, 70), case.integer(1, 5), case.choice((16, 64, 256, 500))


def _table(channels: list[int], strides: list[int], kernel: int = 4) -> list[Layer]:
    return [(a, b, kernel, s, 1) for (a, b), s in zip(pairwise(channels), strides, strict=True)]


def _rule(base: int, count: int, cap: int) -> list[int]:
    return [min(base * 2**k, cap) for k in range(count)]


ex.wrong(
    "one_channel",
    "You start from one channel: D is conditional, so condition and image come in together.",
    lambda base, n, cap: _table([1, *_rule(base, n + 1, cap), 1], [2] * n + [1, 1]),
)
ex.wrong(
    "all_stride_2",
    "You give every layer stride 2; the last two have stride 1, or the field and the map come out wrong.",
    lambda base, n, cap: _table([2, *_rule(base, n + 1, cap), 1], [2] * (n + 2)),
)
ex.wrong(
    "no_cap",
    "You forget the cap, and the deep layers outgrow the rest of D.",
    lambda base, n, cap: _table([2, *_rule(base, n + 1, 10**9), 1], [2] * n + [1, 1]),
)
ex.wrong(
    "middle_missing",
    "You leave out the block of stride 1 before the logits: with three layers the field is 46, not 70.",
    lambda base, n, cap: _table([2, *_rule(base, n, cap), 1], [2] * n + [1]),
)
ex.wrong(
    "middle_not_doubled",
    "You keep the channels in the stride-1 block; the doubling rule goes on there.",
    lambda base, n, cap: _table([2, *_rule(base, n, cap), _rule(base, n, cap)[-1], 1], [2] * n + [1, 1]),
)
ex.wrong(
    "no_logits",
    "You stop at the features; the last layer must give one channel, the logits.",
    lambda base, n, cap: _table([2, *_rule(base, n + 1, cap)], [2] * n + [1]),
)
ex.wrong(
    "kernel_3",
    "You use kernel 3; PatchGAN's kernels are 4, which stride 2 divides.",
    lambda base, n, cap: _table([2, *_rule(base, n + 1, cap), 1], [2] * n + [1, 1], 3),
)
ex.wrong(
    "out_in",
    "You give (out, in); `nn.Conv2d` wants the incoming channels first.",
    lambda base, n, cap: [
        (b, a, *rest) for a, b, *rest in _table([2, *_rule(base, n + 1, cap), 1], [2] * n + [1, 1])
    ],
)
ex.wrong(
    "one_more_down",
    "You give the middle block stride 2: that is n_layers + 1 halvings, with a field twice as large.",
    lambda base, n, cap: _table([2, *_rule(base, n + 1, cap), 1], [2] * (n + 1) + [1]),
)

ex.right(lambda base, n, cap: _table([2, *_rule(base, n + 1, cap), 1], [2] * n + [1, 1]))


@ex.right
def _(base: int, n_layers: int, cap: int) -> list[Layer]:
    layers, incoming = [], 2
    for k in range(n_layers + 1):
        out = min(base * 2**k, cap)
        layers.append((incoming, out, 4, 2 if k < n_layers else 1, 1))
        incoming = out
    return [*layers, (incoming, 1, 4, 1, 1)]


@ex.right
def _(base: int, n_layers: int, cap: int) -> list[list[int]]:
    layers = [[2, min(base, cap), 4, 2, 1]]
    while len(layers) < n_layers + 1:
        wide = layers[-1][1]
        layers.append([wide, min(base << len(layers), cap), 4, 2, 1])
    layers[-1][3] = 1
    layers.append([layers[-1][1], 1, 4, 1, 1])
    return layers


@ex.right
def _(base: int, n_layers: int, cap: int) -> list[Layer]:
    def out(k: int) -> int:
        return {-1: 2, n_layers + 1: 1}.get(k, min(base * 2 ** max(k, 0), cap))

    return [(out(k - 1), out(k), 4, 1 + (k < n_layers), 1) for k in range(n_layers + 2)]


@ex.right
def _(base: int, n_layers: int, cap: int) -> tuple[Layer, ...]:
    outs = [*(min(base * 2**k, cap) for k in range(n_layers + 1)), 1]
    ins = [2, *outs[:-1]]
    return tuple((i, o, 4, s, 1) for i, o, s in zip(ins, outs, [2] * n_layers + [1] * 2, strict=True))


@ex.right
def _(base: int, n_layers: int, cap: int) -> list[Layer]:
    head = (2, min(base, cap), 4, 2, 1)
    down = [(min(base * 2 ** (k - 1), cap), min(base * 2**k, cap), 4, 2, 1) for k in range(1, n_layers)]
    wide = min(base * 2**n_layers, cap)
    return [head, *down, (min(base * 2 ** (n_layers - 1), cap), wide, 4, 1, 1), (wide, 1, 4, 1, 1)]


@ex.right
def _(base: int, n_layers: int, cap: int) -> list[Layer]:
    layers: list[Layer] = [(min(base * 2**n_layers, cap), 1, 4, 1, 1)]
    for k in range(n_layers, -1, -1):  # from the logits back to the image
        incoming = min(base * 2 ** (k - 1), cap) if k else 2
        layers.insert(0, (incoming, layers[0][0], 4, 1 if k == n_layers else 2, 1))
    return layers


def _wrong(name: str, said: str, channels: Channels, strides: Strides = lambda n: [2] * n + [1, 1]) -> None:
    """A table by other channels (after the input's 2) or other strides."""
    ex.wrong(name, said, lambda base, n, cap: _table([2, *channels(base, n, cap)], strides(n)))


def _right(base: int, n: int, cap: int) -> list[int]:
    return [*_rule(base, n + 1, cap), 1]


_wrong(
    "doubled_at_once",
    "You double in the first layer already; k counts from 0, so it gives `base` channels.",
    lambda base, n, cap: [*_rule(2 * base, n + 1, cap), 1],
)
_wrong(
    "same_channels",
    "You give every layer `base` channels; they double from layer to layer.",
    lambda base, n, cap: [min(base, cap)] * (n + 1) + [1],
)
_wrong(
    "first_not_capped",
    "You do not cap the first layer; the rule is the same for all.",
    lambda base, n, cap: [base, *_rule(base, n + 1, cap)[1:], 1],
)
_wrong(
    "middle_not_capped",
    "You do not cap the layer of stride 1; the same rule goes on there.",
    lambda base, n, cap: [*_rule(base, n, cap), base * 2**n, 1],
)
_wrong(
    "stops_below_the_cap",
    "You keep the channels where doubling would pass the cap; the cap itself is reached.",
    lambda base, n, cap: [
        *accumulate(range(n), lambda c, _: c if 2 * c > cap else 2 * c, initial=min(base, cap)),
        1,
    ],
)
_wrong(
    "multiplied",
    "You multiply `base` by k + 1; the channels double: the factor is 2**k.",
    lambda base, n, cap: [*(min(base * (k + 1), cap) for k in range(n + 1)), 1],
)
_wrong("all_stride_1", "You give every layer stride 1.", _right, lambda n: [1] * (n + 2))
_wrong(
    "one_less_down",
    "You give the last of the `n_layers` layers stride 1.",
    _right,
    lambda n: [2] * (n - 1) + [1, 1, 1],
)
_wrong("stride_1_first", "You put the layers of stride 1 in front.", _right, lambda n: [1, 1] + [2] * n)
ex.wrong(
    "no_padding",
    "You write padding 0; it is 1 throughout.",
    lambda base, n, cap: [(*row[:4], 0) for row in _table([2, *_right(base, n, cap)], [2] * n + [1, 1])],
)
ex.wrong(
    "stride_before_kernel",
    "You give the stride before the kernel; the order is (in, out, kernel, stride, padding).",
    lambda base, n, cap: [
        (a, b, s, k, p) for a, b, k, s, p in _table([2, *_right(base, n, cap)], [2] * n + [1, 1])
    ],
)
ex.wrong(
    "three_channels",
    "You start from three channels; condition and image have one each.",
    lambda base, n, cap: _table([3, *_right(base, n, cap)], [2] * n + [1, 1]),
)
ex.wrong(
    "logits_first",
    "You list the layers from the logits to the input.",
    lambda base, n, cap: _table([2, *_right(base, n, cap)], [2] * n + [1, 1])[::-1],
)
ex.wrong(
    "out_and_in_from_the_rule",
    "You take a layer's input from the rule as well; it is what the layer before gives, and 2 at the start.",
    lambda base, n, cap: [
        (min(base * 2**k, cap), *row[1:])
        for k, row in enumerate(_table([2, *_right(base, n, cap)], [2] * n + [1, 1]))
    ],
)
common_slips(ex, "returned_nothing")

ex.background("A PatchGAN is a short list")
ex.breach("from the input to the logits", "logits_first")
ex.breach("`(in, out, kernel, stride, padding)`", "out_in")
ex.breach("`(in, out, kernel, stride, padding)`", "stride_before_kernel")
ex.breach("Kernel 4 and padding 1", "kernel_3")
ex.breach("Kernel 4 and padding 1", "no_padding")
ex.breach("The input has 2 channels", "one_channel")
ex.breach("It starts with", "no_cap")
ex.breach("It starts with", "doubled_at_once")
ex.breach("It starts with", "one_less_down")
ex.breach("Then follows one of stride 1", "middle_missing")
ex.breach("Then follows one of stride 1", "middle_not_doubled")
ex.breach("Then follows one of stride 1", "one_more_down")
ex.breach("The last one", "no_logits")
ex.breach("The last one", "all_stride_2")
