"""Lesson 12: replace a file so that no reader ever finds anything but the old or the new contents."""

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from lessons.lesson12.exercises._toy_disk import ToyDisk

ex = Exercise(
    id="atomic_swap",
    lesson="12",
    title="A swap without a moment in between",
    difficulty=3,
    minutes=12,
    spec="""
    `disk` is a toy disk. It has `write(name, data)`, `fsync(name)`, `rename(old, new)`, `remove(name)` and
    `fsync_folder()`; a kill may come at any step, even in the middle of a write, and so may a power cut,
    after which only what was synced is sure to be there. Put `data` under `name` so that a reader always
    finds the old or the new contents, whole, and the new ones for sure when you are done. Return the disk.
    """,
    hints=(
        "A write to the file itself can stop half way. Write to another name first.",
        "The data must be on the disk before the name points to them; and a new name is on the disk only "
        "after the folder was synced.",
        "In this order: write the draft, fsync the draft, rename it to `name`, fsync the folder.",
    ),
    source="POSIX rename; Pillai et al. 2014, “All file systems are not created equal”.",
)


@ex.reference
def atomic_swap(disk: ToyDisk, name: str, data: str) -> ToyDisk:
    """Replace the contents of `name` on the disk by `data`, safe against kills and power cuts."""
    draft = name + ".tmp"
    disk.write(draft, data)
    disk.fsync(draft)
    disk.rename(draft, name)
    disk.fsync_folder()
    return disk


@ex.edges
def _() -> list[Args]:
    return [(ToyDisk("aliases", "v1"), "aliases", "v2"), (ToyDisk("a", "x"), "a", "y")]


@ex.inputs
def _(case: Case) -> Args:
    name = case.choice(("aliases.json", "champion", "weights", "state"))
    return ToyDisk(name, f"v{case.integer(1, 9)}"), name, f"v{case.integer(10, 99)}"


@ex.wrong(
    "in_place",
    "You write to the live file: a kill in the middle of the write leaves half a file and no champion.",
)
def _(disk: ToyDisk, name: str, data: str) -> ToyDisk:
    disk.write(name, data)
    disk.fsync(name)
    disk.fsync_folder()
    return disk


@ex.wrong(
    "no_sync",
    "You rename without any fsync: after a power cut the new name may point to data that never arrived.",
)
def _(disk: ToyDisk, name: str, data: str) -> ToyDisk:
    disk.write(name + ".tmp", data)
    disk.rename(name + ".tmp", name)
    return disk


@ex.wrong(
    "data_not_synced",
    "You sync the folder but not the draft: the name is safe, the data behind it are not.",
)
def _(disk: ToyDisk, name: str, data: str) -> ToyDisk:
    disk.write(name + ".tmp", data)
    disk.rename(name + ".tmp", name)
    disk.fsync_folder()
    return disk


@ex.wrong(
    "synced_too_late",
    "You sync the data after the rename: in between, a power cut finds the new name and half of the data.",
)
def _(disk: ToyDisk, name: str, data: str) -> ToyDisk:
    disk.write(name + ".tmp", data)
    disk.rename(name + ".tmp", name)
    disk.fsync(name)
    disk.fsync_folder()
    return disk


@ex.wrong(
    "folder_not_synced",
    "You do not sync the folder after the rename: once you have said “done”, a power cut may bring the old "
    "file back.",
)
def _(disk: ToyDisk, name: str, data: str) -> ToyDisk:
    disk.write(name + ".tmp", data)
    disk.fsync(name + ".tmp")
    disk.rename(name + ".tmp", name)
    return disk


@ex.wrong(
    "removed_first",
    "You take the old file away first (removed, or moved to another name): until the rename there is no "
    "file. Rename replaces it at once.",
)
def _(disk: ToyDisk, name: str, data: str) -> ToyDisk:
    disk.write(name + ".tmp", data)
    disk.fsync(name + ".tmp")
    disk.remove(name)
    disk.rename(name + ".tmp", name)
    disk.fsync_folder()
    return disk


@ex.wrong(
    "never_renamed", "The name still leads to the old contents: the draft must get the name (`rename`)."
)
def _(disk: ToyDisk, name: str, data: str) -> ToyDisk:
    disk.write(name + ".tmp", data)
    disk.fsync(name + ".tmp")
    disk.fsync_folder()
    return disk


@ex.wrong(
    "removed_and_written",
    "You remove the file and write it anew: a reader may find none, or half of it.",
)
def _(disk: ToyDisk, name: str, data: str) -> ToyDisk:
    disk.remove(name)
    disk.write(name, data)
    disk.fsync(name)
    disk.fsync_folder()
    return disk


@ex.wrong(
    "late_and_no_folder",
    "You sync the file after the rename and the folder not at all: a power cut finds half of the data, or "
    "the old file when you are done.",
)
def _(disk: ToyDisk, name: str, data: str) -> ToyDisk:
    disk.write(name + ".tmp", data)
    disk.rename(name + ".tmp", name)
    disk.fsync(name)
    return disk


@ex.wrong(
    "rename_turned", "You rename the live file to the draft's name: then no file has the name any more."
)
def _(disk: ToyDisk, name: str, data: str) -> ToyDisk:
    disk.write(name + ".tmp", data)
    disk.fsync(name + ".tmp")
    disk.rename(name, name + ".tmp")
    disk.fsync_folder()
    return disk


@ex.wrong("never_synced", "You write to the live file and sync nothing.")
def _(disk: ToyDisk, name: str, data: str) -> ToyDisk:
    disk.write(name, data)
    return disk


@ex.wrong("not_returned", "You do not return the disk.")
def _(disk: ToyDisk, name: str, data: str) -> None:
    ex.function(disk, name, data)


@ex.wrong("moved_away_at_the_end", "You take the name away again after the rename: the reader finds no file.")
def _(disk: ToyDisk, name: str, data: str) -> ToyDisk:
    ex.function(disk, name, data)
    disk.remove(name)
    return disk


@ex.wrong(
    "draft_removed",
    "You ask for the draft after it has got another name: rename moves the name, nothing is left "
    "under the old one.",
)
def _(disk: ToyDisk, name: str, data: str) -> ToyDisk:
    ex.function(disk, name, data)
    disk.remove(name + ".tmp")
    return disk


@ex.right
def _(disk: ToyDisk, name: str, data: str) -> ToyDisk:
    hidden = f".{name}"
    disk.write(hidden, data)
    disk.fsync(hidden)
    disk.fsync_folder()  # once more than needed
    disk.rename(hidden, name)
    disk.fsync_folder()
    return disk


@ex.right
def _(disk: ToyDisk, name: str, data: str) -> ToyDisk:
    for step, arguments in (
        (disk.write, ("new", data)),
        (disk.fsync, ("new",)),
        (disk.rename, ("new", name)),
        (disk.fsync_folder, ()),
    ):
        step(*arguments)
    return disk


@ex.right
def _(disk: ToyDisk, name: str, data: str) -> ToyDisk:
    draft = "draft of " + name
    disk.write(draft, "")
    disk.write(draft, data)  # a draft may be rewritten: nobody reads it
    disk.fsync(draft)
    disk.rename(draft, name)
    disk.fsync(name)
    disk.fsync_folder()
    return disk


@ex.right
def _(disk: ToyDisk, name: str, data: str) -> ToyDisk:
    first, second = name + ".1", name + ".2"
    disk.write(first, data)
    disk.fsync(first)
    disk.rename(first, second)
    disk.rename(second, name)
    disk.fsync_folder()
    return disk


ex.background("`disk` is a toy disk.")
ex.breach("a kill may come at any step, even in the middle of a write", "in_place")
ex.breach("and so may a power cut, after which only what was synced", "synced_too_late")
ex.breach("a reader always finds the old or the new contents", "removed_first")
ex.breach("and the new ones for sure when you are done", "folder_not_synced")
ex.breach("Return the disk.", "not_returned")
