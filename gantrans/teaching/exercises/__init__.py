"""Exercises with checkers that are themselves tested: `exercise("encoder_shapes").show()`."""

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.registry import exercise, exercises, kill_table
from gantrans.teaching.exercises.results import Card, Result, State

__all__ = ["Card", "Exercise", "Result", "State", "exercise", "exercises", "kill_table"]
