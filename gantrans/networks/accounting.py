"""Cost of a network: parameters, floating-point operations, time and peak memory of a call."""

import os
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else PyTorch's profiler logs to the terminal


def parameters(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def flops(call: Callable[[], object]) -> int:
    """Floating-point operations of convolutions and matrix products in a call; a multiply-add counts as two.

    Uses PyTorch's counter, which misses some fused attention kernels: count the plain version of attention.
    """
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def memory(call: Callable[[], object], device: torch.device | str = "cpu") -> int:
    """Peak memory of a call in bytes, on top of what is allocated before it.

    On CUDA the count of the allocator. On the CPU the running sum, by PyTorch's profiler, of the memory that
    each operation leaves allocated; temporary memory freed inside an operation is not counted.
    """
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        call()
    held = peak = 0
    for event in sorted(profiled.events() or [], key=lambda event: event.time_range.end):
        held += int(event.self_cpu_memory_usage)
        peak = max(peak, held)
    return peak


def seconds(call: Callable[[], object], device: torch.device | str = "cpu", repeats: int = 5) -> float:
    """Median time of a call in seconds, after one call to warm up."""
    device, times = torch.device(device), []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])
