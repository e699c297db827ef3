"""Devices: selection, precision, transfer of batches, and random states; no other module depends on them."""

import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from gantrans.errors import ConfigError

Batch = dict[str, Tensor | list[str]]
PRECISIONS = ("auto", "fp32", "bf16")


def pick_device(name: str | None = None) -> torch.device:
    """The device to compute on: `name`, else the environment variable GANTRANS_DEVICE, else CUDA, MPS, CPU.

    Raises:
        ConfigError: the device asked for is unknown or not present.
    """
    wanted = name or os.environ.get("GANTRANS_DEVICE") or ""
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if not wanted:
        return torch.device(next(kind for kind, there in present.items() if there))
    kind, _, index = wanted.partition(":")
    if kind not in present or (index and not index.isdigit()):
        raise ConfigError(
            f"There is no device {wanted!r}; choose cuda, mps or cpu (argument or GANTRANS_DEVICE)."
        )
    if not present[kind] or (kind == "cuda" and int(index or 0) >= torch.cuda.device_count()):
        raise ConfigError(f"The device {wanted!r} is not present here; choose another one, for example cpu.")
    return torch.device(wanted)


def resolve_precision(precision: str, device: torch.device) -> str:
    """Resolve "auto": "bf16" on hardware that supports it (CUDA from Ampere, AVX512-BF16), else "fp32"."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if device.type == "cpu" and torch.cpu._is_avx512_bf16_supported() else "fp32"


@dataclass(frozen=True)
class Runtime:
    """Device, precision and random generator for the step of a task.

    Attributes:
        device: where networks and batch are.
        precision: "fp32" or "bf16" (autocast; weights and optimisers stay float32).
        accumulate: micro-batches per optimiser step; `backward` divides by it.
        generator: for every random number of a step, such as noise maps; on `device`, stored in checkpoints.
    """

    device: torch.device
    precision: str
    accumulate: int
    generator: torch.Generator

    def autocast(self) -> AbstractContextManager[object]:
        """Context in which forward passes use the chosen precision; `fit` calls `step` inside it."""
        if self.precision == "bf16":
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()

    def backward(
        self, loss: Tensor, inputs: Sequence[Tensor] | None = None, retain_graph: bool = False
    ) -> None:
        """Accumulate d(loss / accumulate) into `.grad` of `inputs` (default: every leaf), outside autocast.

        With the parameters of one network as `inputs`, all others are frozen: G's adversarial loss passes
        through D without adding to D's gradients.
        """
        with torch.autocast(self.device.type, enabled=False):
            loss = loss.float() if loss.dtype == torch.bfloat16 else loss
            scaled = loss / self.accumulate if self.accumulate > 1 else loss
            scaled.backward(inputs=inputs, retain_graph=retain_graph)


def to_device(batch: Batch, device: torch.device, *, channels_last: bool = False) -> Batch:
    """Batch on the device, images (B, C, H, W) optionally channels last; on MPS float64 becomes float32."""

    def move(value: Tensor) -> Tensor:
        dtype = torch.float32 if device.type == "mps" and value.dtype == torch.float64 else None
        layout = torch.channels_last if channels_last and value.dim() == 4 else torch.preserve_format
        return value.to(device=device, dtype=dtype, non_blocking=True, memory_format=layout)

    return {k: move(v) if isinstance(v, Tensor) else v for k, v in batch.items()}


def batches(
    data: Callable[[int], Batch], indices: range, device: torch.device
) -> Generator[Batch, None, None]:
    """Yield data(i) for i in indices, on the CPU; for a GPU a thread prepares two ahead, in pinned memory."""
    if device.type == "cpu":
        yield from map(data, indices)
        return

    def pinned(index: int) -> Batch:
        batch = data(index)
        if device.type != "cuda":
            return batch
        return {k: v.pin_memory() if isinstance(v, Tensor) else v for k, v in batch.items()}

    with ThreadPoolExecutor(1, "batches") as thread:
        todo = iter(indices)
        waiting = [thread.submit(pinned, index) for index in islice(todo, 2)]
        try:
            while waiting:
                batch = waiting.pop(0).result()
                waiting.extend(thread.submit(pinned, index) for index in islice(todo, 1))
                yield batch
        finally:
            for future in waiting:
                future.cancel()


def random_state(device: torch.device) -> dict[str, Tensor]:
    """State of the global generators that dropout draws from: the CPU's and the device's."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        state["mps"] = torch.mps.get_rng_state()
    return state


def set_random_state(state: dict[str, Tensor], device: torch.device) -> None:
    """Restore what `random_state` returned for the same kind of device."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(state["mps"])


def seed_random_state(seed: int, device: torch.device) -> None:
    """Seed the global generators of the CPU and the device (and of no other device)."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
