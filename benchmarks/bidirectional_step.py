"""One training step of both directions: ours against a naive step of the same losses and networks.

Ours: `BidirectionalTask` with channels_last, fused Adam and the precision that the training loop would
choose (bfloat16 where the device computes it). Each generator's image serves its L1, its cycle and both
players; real and fake go through D in one pass (D has spectral norm, so images share nothing); no player's
backward pass enters the other's network. Naive: float32, contiguous, plain Adam; D is not frozen while the
generators step, and the discriminators' step translates everything again and judges real and fake apart.

Both are timed in turns: on the CPU in process time on one thread, on a GPU in wall time up to its last
kernel. The ratio is the median of the paired ratios. `python -m benchmarks bidirectional_step` uses the
device that training would (GANTRANS_DEVICE chooses another).
"""

import statistics
import time
from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.networks import PatchGANConfig, UNetConfig
from gantrans.training import Batch, Runtime, pick_device, resolve_precision
from gantrans.training.device import to_device
from gantrans.translation import BidirectionalConfig, BidirectionalTask

CASES = {64: (8, 16, 4, None), 128: (4, 24, 5, 0.60)}
"""Size: (batch, base_filters, n_down, goal)."""


def our_step(config: BidirectionalConfig, batch: Batch, device: torch.device) -> Callable[[], None]:
    """A full step of the course's task: gradients of all four players, then their optimisers."""
    task = BidirectionalTask(config, seed=0)
    generator = torch.Generator(device).manual_seed(0)
    runtime = Runtime(device, resolve_precision("auto", device), accumulate=1, generator=generator)
    for network in task.networks.values():
        network.train().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    batch = to_device(batch, device, channels_last=True)

    def step() -> None:
        with runtime.autocast():
            task.step(batch, runtime)
        for optimizer in task.optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return step


def naive_step(config: BidirectionalConfig, batch: Batch, device: torch.device) -> Callable[[], None]:
    """The same losses, written down as one reads them."""
    networks = {n: w.train().to(device) for n, w in BidirectionalTask(config, seed=0).networks.items()}
    a, b, d_a, d_b = (networks[name] for name in ("a", "b", "d_a", "d_b"))
    optimizer_g, optimizer_d = (
        torch.optim.Adam([p for n in names for p in networks[n].parameters()], lr, config.betas, fused=False)
        for names, lr in ((("a", "b"), config.lr_generator), (("d_a", "d_b"), config.lr_discriminator))
    )
    sem, layout = cast(Tensor, batch["input"]), cast(Tensor, batch["target"])

    def mse(logits: Tensor, label: float) -> Tensor:
        return F.mse_loss(logits, torch.full_like(logits, label))

    def step() -> None:
        layout_fake, sem_fake = a(sem), b(layout)
        optimizer_g.zero_grad()
        adversarial = mse(d_a(sem, layout_fake).logits, 1.0) + mse(d_b(layout, sem_fake).logits, 1.0)
        pixel = F.l1_loss(layout_fake, layout) + F.l1_loss(sem_fake, sem)
        cycle = F.l1_loss(b(layout_fake), sem) + F.l1_loss(a(sem_fake), layout)
        loss = config.weight_gan * adversarial + config.weight_l1 * pixel + config.weight_cycle * cycle
        loss.backward()  # through both discriminators, into their gradients as well
        optimizer_g.step()
        optimizer_d.zero_grad()
        layout_fake, sem_fake = a(sem).detach(), b(layout).detach()
        on_real = mse(d_a(sem, layout).logits, 1.0) + mse(d_b(layout, sem).logits, 1.0)
        on_fake = mse(d_a(sem, layout_fake).logits, 0.0) + mse(d_b(layout, sem_fake).logits, 0.0)
        (0.5 * (on_real + on_fake)).backward()
        optimizer_d.step()

    return step


def compare(
    ours: Callable[[], None], naive: Callable[[], None], rounds: int, device: torch.device
) -> dict[str, float]:
    """Milliseconds of both (medians) and the median paired ratio with its quartiles."""
    times: list[tuple[float, float]] = []
    for k in range(rounds + 3):
        pair = _milliseconds(ours, device), _milliseconds(naive, device)
        if k >= 3:  # the first rounds warm up
            times.append(pair)
    low, middle, high = statistics.quantiles([ours_ms / naive_ms for ours_ms, naive_ms in times], n=4)
    return {
        "ours_ms": statistics.median(ours_ms for ours_ms, _ in times),
        "naive_ms": statistics.median(naive_ms for _, naive_ms in times),
        "ratio": middle,
        "ratio_q1": low,
        "ratio_q3": high,
    }


def _milliseconds(step: Callable[[], None], device: torch.device) -> float:
    if device.type == "cpu":
        start = time.process_time()
        step()
        return 1e3 * (time.process_time() - start)
    wait = torch.cuda.synchronize if device.type == "cuda" else torch.mps.synchronize
    wait()
    start = time.perf_counter()
    step()
    wait()
    return 1e3 * (time.perf_counter() - start)


def run(quick: bool, device: str | None = None) -> list[dict[str, Any]]:
    """One row per image size: configuration, milliseconds of both, ratio with quartiles, and the goal.

    Args:
        device: "cuda", "mps" or "cpu"; see `pick_device`.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [_row(size, pick_device(device), 4 if quick else 30) for size in CASES]
    finally:
        torch.set_num_threads(threads)


def _row(size: int, device: torch.device, rounds: int) -> dict[str, Any]:
    batch_size, base_filters, n_down, goal = CASES[size]
    unet = UNetConfig(base_filters=base_filters, n_down=n_down)
    critic = PatchGANConfig(base_filters=base_filters, n_layers=3, spectral_norm=True)
    config = BidirectionalConfig(unet, unet, critic, buffer=0)
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(batch_size, 1, size // 8, size // 8, generator=generator).round()
    layout = F.interpolate(coarse, scale_factor=8.0) * 2 - 1
    sem = (layout * 0.4 + 0.3 * torch.randn(layout.shape, generator=generator)).clamp(-1, 1)
    batch = to_device({"input": sem, "target": layout}, device)
    result = compare(our_step(config, batch, device), naive_step(config, batch, device), rounds, device)
    case = {
        "benchmark": "bidirectional_step", "size_px": size, "batch": batch_size, "base_filters": base_filters,
        "device": device.type, "precision": resolve_precision("auto", device),
    }  # fmt: skip
    row = {**case, **result}
    return row if goal is None else {**row, "goal": goal, "met": result["ratio"] <= goal}
