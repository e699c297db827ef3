"""Both directions at once: gradients of the written-out loss, exact resume, terms switched off."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from test_pix2pix import assert_same_gradients, batch, gradients, runtime

from gantrans.config import from_dict, to_dict
from gantrans.errors import ConfigError
from gantrans.networks import PatchGANConfig, UNetConfig
from gantrans.training import FitConfig, fit
from gantrans.translation import BidirectionalConfig, BidirectionalTask, Pix2PixConfig, Pix2PixTask

NETWORK = UNetConfig(base_filters=4, n_down=3, dropout=0.0)
CRITIC = PatchGANConfig(base_filters=4, n_layers=2)
CONFIG = BidirectionalConfig(
    NETWORK, NETWORK, CRITIC, weight_l1=5.0, weight_cycle=3.0, weight_identity=2.0, weight_fm=4.0, buffer=0
)


def textbook(config, data):
    """Every term with its own forward passes; D frozen for G, fakes detached for D."""
    task = BidirectionalTask(config)
    a, b, d_a, d_b = (task.networks[name].train() for name in ("a", "b", "d_a", "d_b"))
    sem, layout = data["input"], data["target"]
    critics = torch.nn.ModuleList([d_a, d_b])
    critics.requires_grad_(False)
    loss = 0.0
    for make, judge, given, wanted in ((a, d_a, sem, layout), (b, d_b, layout, sem)):
        said, real = judge(given, make(given)), judge(given, wanted)
        matching = torch.stack(
            [F.l1_loss(f, r) for f, r in zip(said.features, real.features, strict=True)]
        ).mean()
        adversarial = (said.logits - 1).square().mean()
        loss = loss + 0.5 * adversarial + 4.0 * matching + 5.0 * F.l1_loss(make(given), wanted)
    loss = loss + 3.0 * (F.l1_loss(b(a(sem)), sem) + F.l1_loss(a(b(layout)), layout))
    loss = loss + 2.0 * (F.l1_loss(a(layout), layout) + F.l1_loss(b(sem), sem))
    loss.backward()
    critics.requires_grad_(True)
    for make, judge, given, wanted in ((a, d_a, sem, layout), (b, d_b, layout, sem)):
        fake = judge(given, make(given).detach()).logits
        (0.5 * ((judge(given, wanted).logits - 1).square().mean() + fake.square().mean())).backward()
    return gradients(task)


def test_gradients_equal_the_textbook_recipe():
    task, data = BidirectionalTask(CONFIG), batch()
    log = task.step(data, runtime())
    assert_same_gradients(gradients(task), textbook(CONFIG, data))
    assert {
        "loss_l1_a",
        "loss_l1_b",
        "loss_cycle",
        "loss_identity",
        "d_accuracy_a",
        "gradient_ratio_b",
    } <= set(log)
    assert all(v.ndim == 0 and not v.requires_grad and torch.isfinite(v) for v in log.values())


def test_terms_without_weight_cost_no_pass():
    config = dataclasses.replace(CONFIG, weight_cycle=0.0, weight_identity=0.0, weight_fm=0.0)
    task, passes = BidirectionalTask(config), []
    for name in ("a", "b", "d_a", "d_b"):
        task.networks[name].register_forward_hook(lambda *_, name=name: passes.append(name))
    log = task.step(batch(), runtime())
    assert sorted(passes) == ["a", "b", "d_a", "d_b"]
    assert not {"loss_cycle", "loss_identity"} & set(log)


def test_without_cycle_and_critics_it_is_two_l1_trainings():
    """Direction A is then pix2pix's L1 generator, weight for weight."""
    norm_free = dataclasses.replace(NETWORK, norm="none")
    config = BidirectionalConfig(norm_free, norm_free, None, weight_cycle=0.0, lr_generator=1e-3)
    both = BidirectionalTask(config)
    single = Pix2PixTask(Pix2PixConfig(norm_free, None, lr_generator=1e-3))
    single.generator.load_state_dict(both.a.state_dict())
    for task in (both, single):
        fit(task, lambda step: batch(seed=step), FitConfig(3), progress=False, device="cpu")
    pairs = zip(both.a.parameters(), single.generator.parameters(), strict=True)
    assert all(torch.equal(x, y) for x, y in pairs)


@pytest.mark.parametrize(
    "task",
    [
        lambda: BidirectionalTask(dataclasses.replace(CONFIG, buffer=3), 1),
        lambda: Pix2PixTask(Pix2PixConfig(NETWORK, CRITIC, weight_fm=1.0, buffer=3), 1),
    ],
    ids=["bidirectional", "pix2pix"],
)
def test_two_and_two_steps_equal_four_with_the_buffer(task, tmp_path):
    whole, parts = task(), task()
    fit(whole, lambda step: batch(seed=step), FitConfig(4), progress=False, device="cpu")
    for until, resume in ((2, False), (None, True)):
        parts = task()
        fit(
            parts, lambda step: batch(seed=step), FitConfig(4), out=tmp_path / "run", until=until,
            resume=resume, progress=False, device="cpu",
        )  # fmt: skip
    for name, network in whole.networks.items():
        other = parts.networks[name].state_dict()
        assert all(torch.equal(value, other[key]) for key, value in network.state_dict().items()), name


def test_configuration_round_trip_and_refusals():
    assert from_dict(BidirectionalConfig, to_dict(CONFIG)) == CONFIG
    with pytest.raises(ConfigError, match="must have the channels of the other"):
        dataclasses.replace(CONFIG, generator_b=dataclasses.replace(NETWORK, in_channels=3))
    with pytest.raises(ConfigError, match=r"PatchGANConfig\.in_channels"):
        dataclasses.replace(CONFIG, discriminator=PatchGANConfig(in_channels=3))
    with pytest.raises(ConfigError, match=r"BidirectionalConfig\.betas is \(0\.5, 1\.0\)"):
        dataclasses.replace(CONFIG, betas=(0.5, 1.0))
    with pytest.raises(ConfigError, match=r"BidirectionalConfig\.weight_cycle"):
        dataclasses.replace(CONFIG, weight_cycle=-1.0)
