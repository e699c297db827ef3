"""A disk of the size of a shoe box that knows what a reader may find after a kill or a power cut."""

from typing import Any

TORN = "torn"
MISSING = "missing"


class ToyDisk:
    """Files in one folder: what is in memory, and what has reached the disk.

    A kill of the process leaves what is in memory; a power cut leaves what has reached the disk, and maybe
    more. Both may come before or after any step, or in the middle of a write. Two disks are equal when a
    reader of `name` may find the same things on them.
    """

    def __init__(self, name: str, data: str) -> None:
        self.name = name
        self._files: list[list[str]] = [[data, data]]  # [in memory, on disk]
        self._now: dict[str, int] = {name: 0}
        self._synced: dict[str, int] = {name: 0}
        self.after_kill: set[str] = {data}
        self.after_cut: set[str] = {data}

    def write(self, name: str, data: str) -> None:
        """Make a file, or overwrite one, with `data`; a kill in the middle leaves half of it."""
        if name not in self._now:
            self._files.append(["", ""])
            self._now[name] = len(self._files) - 1
        self._files[self._now[name]][0] = TORN
        self._look()
        self._files[self._now[name]][0] = data
        self._look()

    def fsync(self, name: str) -> None:
        """Wait until the contents of a file are on the disk."""
        file = self._files[self._file(name)]
        file[1] = file[0]
        self._look()

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, at once; a file of that name is replaced."""
        self._now[new] = self._file(old)
        del self._now[old]
        self._look()

    def remove(self, name: str) -> None:
        """Take a name away."""
        self._file(name)
        del self._now[name]
        self._look()

    def fsync_folder(self) -> None:
        """Wait until the names in the folder are on the disk."""
        self._synced = dict(self._now)
        self._look()

    def at_the_end(self) -> set[str]:
        """What a reader may find if the power is cut after the last step."""
        found = set()
        for names in (self._now, self._synced):
            if self.name not in names:
                found.add(MISSING)
                continue
            memory, disk = self._files[names[self.name]]
            found |= {memory} if memory == disk else {memory, disk or TORN, TORN}
        return found

    def _file(self, name: str) -> int:
        if name not in self._now:
            raise FileNotFoundError(name)
        return self._now[name]

    def _look(self) -> None:
        at = self._now.get(self.name)
        self.after_kill.add(MISSING if at is None else self._files[at][0])
        self.after_cut |= self.at_the_end()

    def _seen(self) -> tuple[list[str], list[str], list[str]]:
        return sorted(self.after_kill), sorted(self.after_cut), sorted(self.at_the_end())

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, ToyDisk) and (self.name, self._seen()) == (other.name, other._seen())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        kill, cut, end = (" or ".join(map(repr, found)) for found in self._seen())
        return f"a disk whose reader finds, after a kill, {kill}; after a power cut {cut}; at the end {end}"
