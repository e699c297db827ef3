"""Denoising diffusion: noise schedules, what the network predicts, and how samples are drawn."""

from gantrans.diffusion.guidance import guided
from gantrans.diffusion.judge import (
    Judge,
    JudgeConfig,
    JudgeTask,
    Panel,
    judge_accuracy,
    judge_panel,
    train_judge,
)
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
from gantrans.diffusion.task import (
    LOSSES,
    DiffusionConfig,
    DiffusionTask,
    build_denoiser,
    denoiser_model,
)

__all__ = [
    "LOSSES",
    "PREDICTIONS",
    "SAMPLERS",
    "SCHEDULES",
    "WEIGHTINGS",
    "DiffusionConfig",
    "DiffusionTask",
    "Judge",
    "JudgeConfig",
    "JudgeTask",
    "Model",
    "Panel",
    "SamplerConfig",
    "Schedule",
    "Step",
    "Trajectory",
    "build_denoiser",
    "check_prediction",
    "convert",
    "denoiser_model",
    "guided",
    "judge_accuracy",
    "judge_panel",
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
    "train_judge",
]
