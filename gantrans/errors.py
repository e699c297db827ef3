"""Exceptions caused by users' mistakes. Each message is one sentence: what is wrong, where, and what to do.

The command line prints the sentence and exits with code 2; any other exception is a bug and keeps its
traceback.
"""


class GantransError(Exception):
    """Base of every error caused by input, configuration or the machine, not by a bug in this library."""


class ConfigError(GantransError, ValueError):
    """A configuration field has an unknown name or a value outside its allowed range."""


class DataError(GantransError, ValueError):
    """An image, a folder of images or an array cannot be used as data."""


class CheckpointError(GantransError, RuntimeError):
    """A checkpoint is missing, damaged, of another version or of another configuration."""


class TrainingError(GantransError, RuntimeError):
    """Training cannot continue, for example because a named loss term is not finite."""


class BusyError(GantransError, RuntimeError):
    """Another process works in a folder that only one may use at a time."""
