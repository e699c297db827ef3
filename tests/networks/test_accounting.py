"""What networks cost, counted by hand."""

from functools import partial

import torch
from torch import nn

from gantrans.networks import SelfAttention, UNetConfig, UNetGenerator
from gantrans.networks.accounting import flops, memory, parameters, seconds


def test_a_convolution_by_hand():
    """8 maps of 16 x 16 from 3 channels with 3 x 3 kernels: 27 products, each with its sum, per value."""
    conv, x = nn.Conv2d(3, 8, 3, padding=1), torch.zeros(2, 3, 16, 16)
    assert parameters(conv) == 8 * 27 + 8
    assert flops(lambda: conv(x)) == 2 * 2 * 8 * 16 * 16 * 27


def test_attention_grows_with_the_square_of_the_places():
    """Both products with the N x N map, and four 1 x 1 convolutions' worth of projections."""
    layer = SelfAttention(16, fused=False)
    for side in (4, 8):
        n = side * side
        projections, products = 2 * n * 16 * (2 + 2 + 16), 2 * n * n * (2 + 16)
        assert flops(partial(layer, torch.zeros(1, 16, side, side))) == projections + products
    assert parameters(layer) == 16 * 20 + 20 + 1


def test_the_full_preset_has_5_57_million_parameters():
    assert parameters(UNetGenerator(UNetConfig())) == 5_567_505


def test_memory_of_one_tensor_and_of_two_after_each_other():
    mib = 2**20
    assert memory(lambda: torch.zeros(mib)) in range(4 * mib, 4 * mib + 4096)
    assert memory(lambda: [torch.zeros(mib), torch.zeros(mib)]) in range(8 * mib, 8 * mib + 4096)
    assert memory(lambda: [torch.zeros(mib).sum() for _ in range(3)]) < 8 * mib


def test_a_longer_call_takes_longer():
    x = torch.ones(400, 400)
    assert seconds(lambda: [x @ x for _ in range(20)], repeats=3) > seconds(lambda: x @ x, repeats=3) > 0
