"""The denoisers: shapes, identity at the start, what t, label and condition reach, and what they refuse."""

import pytest
import torch

from gantrans.errors import ConfigError, DataError
from gantrans.networks import (
    DENOISER_NORMS,
    EMBEDDINGS,
    Denoiser,
    DenoiserConfig,
    VectorDenoiser,
    VectorDenoiserConfig,
)

SMALL = {"base_filters": 8, "multipliers": (1, 2)}


def awake(network: torch.nn.Module, seed: int = 1) -> torch.nn.Module:
    """The zero-started layers get weights, as training would give them."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in network.parameters():
            if not p.any():
                p.copy_(0.1 * torch.randn(p.shape, generator=draw))
    return network.double().eval()


def x_t(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("norm", DENOISER_NORMS)
@pytest.mark.parametrize("unshuffle", [1, 2, 4])
def test_shape_in_and_out(unshuffle: int, norm: str) -> None:
    network = Denoiser(DenoiserConfig(channels=2, unshuffle=unshuffle, norm=norm, blocks=2, **SMALL))
    assert network(torch.randn(3, 2, 16, 24), torch.tensor([0, 5, 999])).shape == (3, 2, 16, 24)


def test_every_block_starts_as_the_identity_and_the_answer_as_zero() -> None:
    network = Denoiser(DenoiserConfig(**SMALL))
    x = torch.randn(2, 8, 8, 8)
    conditioning = torch.randn(2, 32)
    assert torch.equal(network.encoder[0][0](x, conditioning), x)
    assert not network(torch.randn(2, 1, 8, 8), torch.tensor([3, 4])).any()


def test_every_weight_takes_part() -> None:
    config = DenoiserConfig(condition_channels=1, classes=3, **SMALL)
    network = awake(Denoiser(config))
    answer = network(x_t(2, 1, 8, 8), torch.tensor([1, 700]), condition=x_t(2, 1, 8, 8, seed=2),
                     label=torch.tensor([0, 3]))  # fmt: skip
    answer.square().sum().backward()
    # A bias before a norm's mean is taken out again: its gradient is zero up to rounding, not missing.
    dead = [n for n, p in network.named_parameters() if p.grad is None]
    assert dead == []
    used = network.conditioning.label.weight.grad.abs().sum(1) > 0
    assert used.tolist() == [True, False, False, True]


@pytest.mark.parametrize("kind", EMBEDDINGS)
def test_the_time_is_heard_unless_there_is_none(kind: str) -> None:
    image = awake(Denoiser(DenoiserConfig(embedding=kind, **SMALL)))
    vector = awake(VectorDenoiser(VectorDenoiserConfig(6, hidden=16, embedding=kind)))
    for network, x in ((image, x_t(1, 1, 8, 8)), (vector, x_t(1, 6))):
        early, late = (network(x, torch.tensor([t])) for t in (10, 600))
        assert torch.equal(early, late) == (kind == "none")


def test_each_sample_hears_its_own_time_and_label() -> None:
    """A batch equals its samples one by one: nothing leaks between samples (batch norm in training would)."""
    network = awake(Denoiser(DenoiserConfig(classes=2, **SMALL)))
    x, t, label = x_t(3, 1, 8, 8), torch.tensor([0, 400, 999]), torch.tensor([1, 0, 2])
    alone = [network(x[i : i + 1], t[i : i + 1], label=label[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(network(x, t, label=label), torch.cat(alone))


def test_no_label_is_the_class_behind_the_last() -> None:
    network = awake(Denoiser(DenoiserConfig(classes=2, **SMALL)))
    x, t = x_t(2, 1, 8, 8), torch.tensor([5, 6])
    assert torch.equal(network(x, t), network(x, t, label=torch.tensor([2, 2])))
    assert not torch.equal(network(x, t), network(x, t, label=torch.tensor([0, 0])))


def test_attention_reaches_across_the_image() -> None:
    """Without attention a short network does not see from one corner to the other; with it, it does."""

    def seen(attention: bool) -> bool:
        config = DenoiserConfig(base_filters=8, multipliers=(1,), attention=attention, norm="none")
        network, x = awake(Denoiser(config)), x_t(1, 1, 40, 40).requires_grad_()
        (gradient,) = torch.autograd.grad(network(x, torch.tensor([3]))[0, 0, 0, 0], x)
        return bool(gradient[0, 0, -1, -1] != 0)

    assert seen(True)
    assert not seen(False)


def test_same_seed_same_weights_and_global_state_untouched() -> None:
    before = torch.get_rng_state()
    one, same, other = (Denoiser(DenoiserConfig(embedding="fourier", **SMALL), seed) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), same.state_dict().values(),
                                                strict=True))  # fmt: skip
    assert not torch.equal(one.entry.weight, other.entry.weight)


def test_they_refuse_what_they_cannot_take() -> None:
    network, t = Denoiser(DenoiserConfig(unshuffle=2, **SMALL)), torch.tensor([1])
    with pytest.raises(DataError, match="multiples of 4"):
        network(torch.zeros(1, 1, 18, 16), t)
    with pytest.raises(DataError, match=r"built for \(B, 1, H, W\)"):
        network(torch.zeros(1, 2, 16, 16), t)
    with pytest.raises(DataError, match="condition has 1 channels"):
        network(torch.zeros(1, 1, 16, 16), t, condition=torch.zeros(1, 1, 16, 16))
    with pytest.raises(DataError, match="without classes"):
        network(torch.zeros(1, 1, 16, 16), t, label=torch.tensor([0]))
    conditional = Denoiser(DenoiserConfig(condition_channels=1, **SMALL))
    with pytest.raises(DataError, match="must agree"):
        conditional(torch.zeros(1, 1, 16, 16), t, condition=torch.zeros(1, 1, 8, 8))
    with pytest.raises(DataError, match=r"built for \(B, 6\)"):
        VectorDenoiser(VectorDenoiserConfig(6))(torch.zeros(1, 5), t)
    with pytest.raises(ConfigError, match="multiple of 8"):
        DenoiserConfig(base_filters=12)
    with pytest.raises(ConfigError, match="multipliers"):
        DenoiserConfig(multipliers=())
    with pytest.raises(ConfigError, match="embedding"):
        DenoiserConfig(embedding="rotary")
