"""What a network costs: parameters, floating-point operations, time and peak memory of a call."""

import os
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else PyTorch's profiler writes its marks to the terminal


def parameters(network: nn.Module) -> int:
    """Number of learnable numbers."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def flops(call: Callable[[], object]) -> int:
    """Operations of the convolutions and matrix products in a call; a product and its sum count as two.

    PyTorch's counter, which does not see into every fused attention kernel: count the plain version.
    """
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def memory(call: Callable[[], object], device: torch.device | str = "cpu") -> int:
    """Bytes that a call takes at its peak on top of what is held before it.

    On CUDA the allocator's own count. On the CPU the running sum of what each operation keeps, by PyTorch's
    profiler: what an operation takes and gives back inside itself is not seen.
    """
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        call()
    held = peak = 0
    for event in sorted(seen.events() or [], key=lambda event: event.time_range.end):
        held += int(event.self_cpu_memory_usage)
        peak = max(peak, held)
    return peak


def seconds(call: Callable[[], object], device: torch.device | str = "cpu", repeats: int = 5) -> float:
    """Median time of a call after one to warm up."""
    device, times = torch.device(device), []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])
