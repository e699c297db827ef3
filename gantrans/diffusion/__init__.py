"""Denoising diffusion: noise schedules, what the network predicts, and how samples are drawn."""

from gantrans.diffusion.guidance import guided
from gantrans.diffusion.parameterisation import (
    PREDICTIONS,
    WEIGHTINGS,
    check_prediction,
    convert,
    loss_weight,
    q_sample,
    target,
    to_epsilon,
    to_x0,
)
from gantrans.diffusion.samplers import (
    SAMPLERS,
    Model,
    SamplerConfig,
    Step,
    Trajectory,
    sample,
    sampler_steps,
    sampling_steps,
    take_step,
)
from gantrans.diffusion.schedules import SCHEDULES, Schedule, make_schedule

__all__ = [
    "PREDICTIONS",
    "SAMPLERS",
    "SCHEDULES",
    "WEIGHTINGS",
    "Model",
    "SamplerConfig",
    "Schedule",
    "Step",
    "Trajectory",
    "check_prediction",
    "convert",
    "guided",
    "loss_weight",
    "make_schedule",
    "q_sample",
    "sample",
    "sampler_steps",
    "sampling_steps",
    "take_step",
    "target",
    "to_epsilon",
    "to_x0",
]
