"""One GAN training step: ours against an eager float32 step of the usual recipe, with the same networks.

Ours: `Pix2PixTask` with channels_last, in the precision that the training loop would choose: bfloat16
autocast on a processor with AVX512-BF16, else float32. The goals need the former; in float32 both steps do
nearly the same arithmetic. The usual recipe: float32 and plain Adam; one generator pass; D is frozen while
the generator steps, then judges the real pair and the detached fake in two more passes. Both are timed in
turns, in process CPU time on one thread: a busy machine slows both alike. The ratio is the median of the
paired ratios.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.networks import PatchGANConfig, UNetConfig
from gantrans.training import Batch, Runtime, resolve_precision
from gantrans.translation import Pix2PixConfig, Pix2PixTask

CPU = torch.device("cpu")
PRECISION = resolve_precision("auto", CPU)
CASES = {  # size: (batch, base_filters, n_down, n_layers, goal)
    64: (16, 16, 4, 3, 0.65),
    128: (4, 24, 5, 3, 0.55),
    256: (1, 48, 5, 3, 0.55),
}


def our_step(config: Pix2PixConfig, batch: Batch) -> Callable[[], None]:
    """A full step of the course's task: gradients of both players, then both optimisers."""
    task = Pix2PixTask(config, seed=0)
    runtime = Runtime(CPU, PRECISION, accumulate=1, generator=torch.Generator().manual_seed(0))
    for network in task.networks.values():
        network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def step() -> None:
        with runtime.autocast():
            task.step(batch, runtime)
        for optimizer in task.optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return step


def usual_step(config: Pix2PixConfig, batch: Batch) -> Callable[[], None]:
    """The usual recipe, eager and in float32."""
    networks = Pix2PixTask(config, seed=0).networks
    generator, discriminator = networks["generator"].train(), networks["discriminator"].train()
    optimizer_g = torch.optim.Adam(generator.parameters(), config.lr_generator, config.betas)
    optimizer_d = torch.optim.Adam(discriminator.parameters(), config.lr_discriminator, config.betas)
    source, target = cast(Tensor, batch["input"]), cast(Tensor, batch["target"])

    def mse(logits: Tensor, label: float) -> Tensor:
        return F.mse_loss(logits, torch.full_like(logits, label))

    def step() -> None:
        fake = generator(source)
        _freeze(discriminator, True)
        optimizer_g.zero_grad()
        adversarial = mse(discriminator(source, fake).logits, 1.0)
        (adversarial * config.weight_gan + F.l1_loss(fake, target) * config.weight_l1).backward()
        optimizer_g.step()
        _freeze(discriminator, False)
        optimizer_d.zero_grad()
        on_real = mse(discriminator(source, target).logits, config.real_label)
        on_fake = mse(discriminator(source, fake.detach()).logits, 0.0)
        (0.5 * (on_real + on_fake)).backward()
        optimizer_d.step()

    return step


def _freeze(network: nn.Module, frozen: bool) -> None:
    for parameter in network.parameters():
        parameter.requires_grad_(not frozen)


def compare(ours: Callable[[], None], usual: Callable[[], None], rounds: int) -> dict[str, float]:
    """CPU milliseconds of both (medians) and the median paired ratio with its quartiles."""
    times: list[tuple[float, float]] = []
    for k in range(rounds + 2):
        pair = _cpu_ms(ours), _cpu_ms(usual)
        if k >= 2:  # the first two rounds warm up
            times.append(pair)
    ratios = [a / b for a, b in times]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {
        "ours_ms": statistics.median(a for a, _ in times),
        "usual_ms": statistics.median(b for _, b in times),
        "ratio": middle,
        "ratio_q1": low,
        "ratio_q3": high,
    }


def _cpu_ms(step: Callable[[], None]) -> float:
    start = time.process_time()
    step()
    return 1e3 * (time.process_time() - start)


def run(quick: bool) -> list[dict[str, Any]]:
    """One row per image size: configuration, CPU ms of both, ratio with quartiles, goal, and if it is met."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [_row(size, 4 if quick else 30) for size in CASES]
    finally:
        torch.set_num_threads(threads)


def _row(size: int, rounds: int) -> dict[str, Any]:
    batch_size, base_filters, n_down, n_layers, goal = CASES[size]
    config = Pix2PixConfig(
        UNetConfig(base_filters=base_filters, n_down=n_down),
        PatchGANConfig(base_filters=base_filters, n_layers=n_layers, spectral_norm=True),
        real_label=0.9,
    )
    generator = torch.Generator().manual_seed(0)
    layout = torch.rand(batch_size, 1, size // 8, size // 8, generator=generator).round()
    target = F.interpolate(layout, scale_factor=8.0) * 2 - 1
    source = (target * 0.4 + 0.3 * torch.randn(target.shape, generator=generator)).clamp(-1, 1)
    batch: Batch = {"input": source, "target": target}
    result = compare(our_step(config, batch), usual_step(config, batch), rounds)
    case = {
        "benchmark": "training_step", "size_px": size, "batch": batch_size, "base_filters": base_filters,
        "precision": PRECISION,
    }  # fmt: skip
    return {**case, **result, "goal": goal, "met": result["ratio"] <= goal}
