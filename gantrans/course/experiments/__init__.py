"""One module per lesson with the experiments behind its claims."""

from gantrans.course.experiments.registry import experiment, experiments, rerun

__all__ = ["experiment", "experiments", "rerun"]
