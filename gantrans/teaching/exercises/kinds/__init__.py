"""Kinds of exercise beside functions: a step or loop, a bug to find."""

from gantrans.teaching.exercises.kinds.bug_hunt import BugHunt
from gantrans.teaching.exercises.kinds.probing import ToyNetwork
from gantrans.teaching.exercises.kinds.step import StepExercise

__all__ = ["BugHunt", "StepExercise", "ToyNetwork"]
