"""Exercises with checkers that are themselves tested: `exercise("channel_rule").show()`."""

from gantrans.course.exercises.core import Exercise
from gantrans.course.exercises.registry import exercise, exercises, kill_table
from gantrans.course.exercises.results import Card, Result, State

__all__ = ["Card", "Exercise", "Result", "State", "exercise", "exercises", "kill_table"]
