"""The command line called in this process."""

import sys

import pytest

from gantrans import __main__ as cli


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `python -m gantrans ARGUMENTS`."""
    code, argv = 0, sys.argv
    sys.argv = ["gantrans", *map(str, arguments)]
    try:
        cli.main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        sys.argv = argv
    out, err = capsys.readouterr()
    return code, out, err


def code_and_error(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Exit code and standard error of `python -m gantrans ARGUMENTS`."""
    code, _, err = call(capsys, *arguments)
    return code, err
