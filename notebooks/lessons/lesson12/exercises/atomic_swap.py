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
    "You do not sync the folder: after you have said “done”, a power cut may bring the old file back.",
)
def _(disk: ToyDisk, name: str, data: str) -> ToyDisk:
    disk.write(name + ".tmp", data)
    disk.fsync(name + ".tmp")
    disk.rename(name + ".tmp", name)
    return disk


@ex.wrong(
    "removed_first",
    "You remove the old file first: rename replaces it at once, and between the two there is no file.",
)
def _(disk: ToyDisk, name: str, data: str) -> ToyDisk:
    disk.write(name + ".tmp", data)
    disk.fsync(name + ".tmp")
    disk.remove(name)
    disk.rename(name + ".tmp", name)
    disk.fsync_folder()
    return disk


@ex.wrong("never_renamed", "You write the draft and stop: nobody reads it, the old contents stay in force.")
def _(disk: ToyDisk, name: str, data: str) -> ToyDisk:
    disk.write(name + ".tmp", data)
    disk.fsync(name + ".tmp")
    disk.fsync_folder()
    return disk


@ex.wrong(
    "kept_a_backup",
    "You move the old file out of the way first: until the second rename there is no champion at all.",
)
def _(disk: ToyDisk, name: str, data: str) -> ToyDisk:
    disk.write(name + ".tmp", data)
    disk.fsync(name + ".tmp")
    disk.fsync_folder()
    disk.rename(name, name + ".bak")
    disk.fsync_folder()
    disk.rename(name + ".tmp", name)
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
