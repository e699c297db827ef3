"""A bug hunt in a training step or loop: what it does to its networks is compared, too."""

from dataclasses import dataclass

from gantrans.teaching.exercises.kinds.bug_hunt import BugHunt
from gantrans.teaching.exercises.kinds.step import StepExercise


@dataclass
class StepHunt(BugHunt, StepExercise):
    """Code with one slip, watched as a step is: who moved, who stayed, what came back."""

    draws: int = 6  # each runs a whole network several times
