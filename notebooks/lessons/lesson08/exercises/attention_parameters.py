"""Lesson 08: what a block of self-attention weighs."""

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="attention_parameters",
    lesson="08",
    title="Count the parameters",
    difficulty=1,
    minutes=5,
    spec="""
    How many numbers does one block of self-attention learn at `channels` channels? Queries and keys have
    `channels // share` channels (at least one), values have `channels`; each of the three comes from a 1 x 1
    convolution with a bias. Do not forget the scalar gamma. The size of the map does not matter.
    """,
    hints=(
        "A 1 x 1 convolution from a to b channels has a * b weights and b biases.",
        "`width = max(1, channels // share)`; queries and keys have `width * channels + width` numbers each.",
        "`2 * width * (channels + 1) + channels * (channels + 1) + 1`",
    ),
    source="Counting the block of gantrans.networks.attention; share 8 as in Zhang et al. 2019 (SAGAN).",
    equivalent={
        "-> `max(channels // share, 1)`": "a maximum does not care about the order",
    },
)


@ex.reference
def attention_parameters(channels: int, share: int) -> int:
    """Channels of the map, and by what they are divided for queries and keys (both >= 1) -> parameters."""
    width = max(1, channels // share)
    return (2 * width + channels) * (channels + 1) + 1


@ex.edges
def _() -> list[Args]:
    return [
        (256, 8),
        (192, 8),
        (48, 8),
        (8, 8),
        (4, 8),
        (1, 1),
        (7, 2),
        (1, 8),
        (256, 1),
        (15, 8),
        (12, 8),
        (16, 16),
        (2, 3),
        (3, 2),
    ]


@ex.inputs
def _(case: Case) -> Args:
    return case.integer(1, 300), case.choice((1, 2, 4, 8))


def _total(width: int, channels: int, biases: int, gamma: int = 1) -> int:
    return (2 * width + channels) * channels + biases + gamma


ex.wrong(
    "no_bias",
    "You forget the biases of the three convolutions.",
    lambda c, share: _total(max(1, c // share), c, 0),
)
ex.wrong(
    "no_gamma",
    "You forget gamma: one number, but a learnt one.",
    lambda c, share: _total(max(1, c // share), c, 2 * max(1, c // share) + c, 0),
)
ex.wrong(
    "input_biases",
    "You count a bias per input channel; a convolution has one per output channel.",
    lambda c, share: _total(max(1, c // share), c, 3 * c),
)
ex.wrong(
    "one_of_two",
    "You count one convolution for queries and keys together; each has its own.",
    lambda c, share: max(1, c // share) * (c + 1) + c * (c + 1) + 1,
)
ex.wrong(
    "narrow_values",
    "You make the values narrow, too: they keep all channels.",
    lambda c, share: 3 * max(1, c // share) * (c + 1) + 1,
)
ex.wrong(
    "wide_queries",
    "You give queries and keys all channels and do not use `share`.",
    lambda c, share: 3 * c * (c + 1) + 1,
)
ex.wrong(
    "output_projection",
    "You add an output projection as transformers have; this block has none.",
    lambda c, share: _total(max(1, c // share), c, 2 * max(1, c // share) + c) + c * (c + 1),
)
ex.wrong(
    "nothing_left",
    "You let queries and keys vanish where there are fewer channels than `share`; one channel stays.",
    lambda c, share: _total(c // share, c, 2 * (c // share) + c),
)
ex.wrong(
    "kernel_three",
    "You count 3 x 3 kernels; a 1 x 1 convolution has one weight per pair of channels.",
    lambda c, share: 9 * (2 * max(1, c // share) + c) * c + 2 * max(1, c // share) + c + 1,
)
ex.wrong(
    "few_thousand",
    "You count the queries' and keys' numbers only: the values are the largest part.",
    lambda c, share: 2 * max(1, c // share) * (c + 1) + 1,
)

ex.wrong(
    "rounded_up",
    "You round `channels / share` up; `//` rounds down.",
    lambda c, share: _total(-(-c // share), c, 2 * -(-c // share) + c),
)
ex.wrong(
    "rounded_to_nearest",
    "You round `channels / share` to the nearest number; `//` rounds down.",
    lambda c, share: _total(max(1, round(c / share)), c, 2 * max(1, round(c / share)) + c),
)
ex.wrong(
    "three_biases",
    "You count one bias per convolution; there is one per output channel.",
    lambda c, share: _total(max(1, c // share), c, 3),
)
ex.wrong(
    "gamma_per_channel",
    "You count a gamma per channel; it is one number for the whole block.",
    lambda c, share: _total(max(1, c // share), c, 2 * max(1, c // share) + c, c),
)
ex.wrong(
    "roles_swapped",
    "You make the values narrow and give queries and keys all channels; it is the other way round.",
    lambda c, share: 2 * c * (c + 1) + max(1, c // share) * (c + 1) + 1,
)
ex.wrong(
    "no_bias_no_gamma",
    "You count weights alone: three biases and gamma are learnt as well.",
    lambda c, share: _total(max(1, c // share), c, 0, 0),
)
ex.wrong(
    "not_whole",
    "You divide with `/`: a number of channels is whole, so use `//`.",
    lambda c, share: (2 * max(1, c / share) + c) * (c + 1) + 1,
)

ex.wrong(
    "no_value_bias",
    "You forget the bias of the values.",
    lambda c, share: _total(max(1, c // share), c, 2 * max(1, c // share)),
)
ex.wrong(
    "value_bias_only",
    "You forget the biases of queries and keys.",
    lambda c, share: _total(max(1, c // share), c, c),
)


ex.right(lambda c, share: _total(max(1, c // share), c, 2 * max(1, c // share) + c))


@ex.right
def _(channels: int, share: int) -> int:
    outputs = [channels // share or 1] * 2 + [channels]
    return 1 + sum(out * channels + out for out in outputs)


@ex.right
def _(channels: int, share: int) -> int:
    from torch import nn

    width = max(channels // share, 1)
    layers = nn.ModuleList(nn.Conv2d(channels, out, 1, device="meta") for out in (width, width, channels))
    return sum(parameter.numel() for parameter in layers.parameters()) + 1


@ex.right
def _(channels: int, share: int) -> int:
    from gantrans.networks.attention import QUERY_SHARE, SelfAttention

    block = SelfAttention(channels)
    more = max(1, channels // share) - max(1, channels // QUERY_SHARE)  # wider or narrower queries and keys
    return sum(parameter.numel() for parameter in block.parameters()) + 2 * more * (channels + 1)


ex.breach("How many numbers does one block of self-attention learn", "few_thousand")
ex.breach("Queries and keys have `channels // share` channels", "nothing_left")
ex.breach("each of the three comes from a 1 x 1 convolution with a bias", "no_bias")
ex.breach("Do not forget the scalar gamma.", "no_gamma")
ex.background("The size of the map does not matter.")
