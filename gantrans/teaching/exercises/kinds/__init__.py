"""Kinds of exercise beside functions: a module, a step or loop, a bug to find, an open task with a score."""

from gantrans.teaching.exercises.kinds.bug_hunt import BugHunt
from gantrans.teaching.exercises.kinds.module import ModuleExercise
from gantrans.teaching.exercises.kinds.open_task import OpenTask, RuleBroken
from gantrans.teaching.exercises.kinds.probing import ToyNetwork, left_behind
from gantrans.teaching.exercises.kinds.step import StepExercise
from gantrans.teaching.exercises.kinds.step_hunt import StepHunt

__all__ = [
    "BugHunt",
    "ModuleExercise",
    "OpenTask",
    "RuleBroken",
    "StepExercise",
    "StepHunt",
    "ToyNetwork",
    "left_behind",
]
