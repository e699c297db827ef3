"""Lesson 14's canonical forms compute what the library computes."""

import torch
from torch import Tensor

from gantrans.diffusion import DiffusionConfig
from gantrans.networks import DenoiserConfig, VisionTransformer, VisionTransformerConfig
from gantrans.training import Runtime
from gantrans.translation import ConditionalDiffusionConfig, ConditionalDiffusionTask, ensemble_interval
from lessons.lesson14.exercises.conditional_loss import conditional_loss
from lessons.lesson14.exercises.ensemble_interval import ensemble_interval as canonical_interval
from lessons.lesson14.exercises.to_patches import to_patches


def test_the_conditional_loss_is_that_of_the_task() -> None:
    network = DenoiserConfig(condition_channels=1, base_filters=8, multipliers=(1,))
    task = ConditionalDiffusionTask(
        ConditionalDiffusionConfig(DiffusionConfig(network, prediction="x0")), seed=1
    )
    denoiser = task.generator.denoiser
    torch.nn.init.normal_(denoiser.exit.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    draw = torch.Generator().manual_seed(5)
    x0, condition = (torch.randn(3, 1, 8, 8, generator=draw) for _ in range(2))
    again = torch.Generator().manual_seed(9)
    t = torch.randint(1000, (3,), generator=again)
    noise = torch.randn(3, 1, 8, 8, generator=again)

    def net(x: Tensor, when: Tensor, given: Tensor) -> Tensor:
        return denoiser(x, when, condition=given)

    bars = task.config.diffusion.noise_schedule.alpha_bars.float()
    wanted = conditional_loss(net, x0, condition, t, noise, bars)
    wanted.backward()
    gradients = [p.grad.clone() for p in denoiser.parameters() if p.grad is not None]
    denoiser.zero_grad()
    runtime = Runtime(torch.device("cpu"), "fp32", 1, torch.Generator().manual_seed(9))
    found = task.step({"input": condition, "target": x0}, runtime)["loss"]
    torch.testing.assert_close(found, wanted.detach())
    ours = [p.grad for p in denoiser.parameters() if p.grad is not None]
    torch.testing.assert_close(ours, gradients)
    assert float(found) > 0.1


def test_the_interval_of_whole_ranks_is_that_of_the_library() -> None:
    for count, level in ((19, 0.9), (39, 0.9), (9, 0.8), (3, 0.5)):
        answers = torch.randn(count, 50, generator=torch.Generator().manual_seed(count))
        low, high, _ = canonical_interval(answers, answers[0], level)
        found = ensemble_interval(answers, level)
        torch.testing.assert_close(torch.stack(found), torch.stack([low, high]))


def test_the_transformer_s_tokens_are_the_patches() -> None:
    """An entry that passes the pixels on gives the patches in reading order."""
    network = VisionTransformer(VisionTransformerConfig(patch=4, width=16, depth=1, heads=1))
    seen: list[Tensor] = []
    network.entry.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    images = torch.rand(2, 1, 8, 12)
    network(images)
    torch.testing.assert_close(seen[0], to_patches(images, 4))
