"""Training of any task: one loop, exact resume, atomic checkpoints."""

from gantrans.training.budget import TimeBudget
from gantrans.training.checkpoint import export_weights, load_checkpoint, load_networks, save_checkpoint
from gantrans.training.device import Batch, Runtime, pick_device, resolve_precision
from gantrans.training.ema import EMA
from gantrans.training.history import History
from gantrans.training.loop import fit
from gantrans.training.lr import LR_SCHEDULES
from gantrans.training.task import Best, FitConfig, FitResult, Task

__all__ = [
    "EMA",
    "LR_SCHEDULES",
    "Batch",
    "Best",
    "FitConfig",
    "FitResult",
    "History",
    "Runtime",
    "Task",
    "TimeBudget",
    "export_weights",
    "fit",
    "load_checkpoint",
    "load_networks",
    "pick_device",
    "resolve_precision",
    "save_checkpoint",
]
