"""Where the lessons keep their material. Nothing is listed: what lies in a lesson's folder is found there."""

from pathlib import Path

from gantrans import ROOT

NOTEBOOKS = ROOT / "notebooks"
LESSONS = NOTEBOOKS / "lessons"
ABLATIONS = NOTEBOOKS / "ablations"


def lesson_folders(lessons: Path = LESSONS) -> list[Path]:
    """The folders `lessonNN`, in order."""
    return sorted(path for path in lessons.glob("lesson[0-9][0-9]") if path.is_dir())


def found(pattern: str) -> list[Path]:
    """All files of lessons that match a pattern below their folder, such as `exercises/[!_]*.py`."""
    return [path for folder in lesson_folders() for path in sorted(folder.glob(pattern))]


def module_of(path: Path) -> str:
    """The dotted name under which a Python file of a lesson is imported."""
    return ".".join(path.relative_to(NOTEBOOKS).with_suffix("").parts)
