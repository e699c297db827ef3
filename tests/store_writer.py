"""Programs that the tests of the store start: one that is killed while it writes, one whose disk fails.

`kill FOLDER KILLS` forks a writer again and again, kills it with SIGKILL at a random moment, and compares the
store with what the writer had acknowledged. `fail FOLDER TRIES` runs under `failing_disk.c` and lets every
n-th write and sync fail, n = 1 to TRIES or to the last of them. Both print one line of JSON.
"""

import ctypes
import errno
import json
import os
import random
import signal
import sys
import time
from contextlib import closing
from pathlib import Path

import torch

from gantrans.operations.feedback.database import StoreError
from gantrans.operations.feedback.store import Store

WRITE, SYNC = 0, 1


def event(store: Store, number: int) -> None:
    """The n-th event of a life: predictions, labels and verdicts take turns."""
    name = f"{number:06d}"
    image = torch.full((1, 8, 8), (number % 256) / 255)
    if number % 3 == 0:
        store.register(name, "sem2layout", "one", image, 1 - image)
    elif number % 3 == 1:
        store.add_label(name, f"{number - 1:06d}", "truth", image)
    else:
        store.judge(f"{number - 2:06d}", "accept", "a note", id=name)


def stored(path: Path) -> set[str]:
    """Ids of everything in a store, which must be whole."""
    with closing(Store(path)) as store:
        assert store.rows("PRAGMA integrity_check") == [("ok",)]
        ((count, last),) = store.rows("SELECT count(*), coalesce(max(number), 0) FROM verdict")
        assert count == last, f"{count} verdicts, but the last has number {last}"
        return {
            row[0]
            for table in ("prediction", "label", "verdict")
            for row in store.rows(f"SELECT id FROM {table}")
        }


def kill(folder: Path, kills: int) -> dict[str, int]:
    """Kill a writer `kills` times; returns how many acknowledged events there were and how many are lost."""
    path, moments = folder / "killed.sqlite", random.Random(0)
    acknowledged: set[str] = set()
    number = 0
    for _ in range(kills):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            store = Store(path)
            while True:  # until it is killed
                event(store, number)
                os.write(writing, f"{number:06d}\n".encode())
                number += 1
        os.close(writing)
        with os.fdopen(reading) as answers:
            acknowledged.add(answers.readline().strip())  # it lives
            time.sleep(moments.uniform(0.0, 0.05))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            acknowledged |= {line.strip() for line in answers if line.endswith("\n")}
        number = 1 + max(map(int, acknowledged | stored(path)))
    kept = stored(path)
    return {"kills": kills, "acknowledged": len(acknowledged), "lost": len(acknowledged - kept)}


def fail(folder: Path, tries: int) -> dict[str, int]:
    """Let the n-th write, then the n-th sync fail, n = 1 ... at most `tries`; what fails is sent again."""
    shim = ctypes.CDLL(None)
    counts = {"failures": 0, "acknowledged": 0, "lost": 0, "commits_without_sync": 0}
    for kind, error in ((WRITE, errno.ENOSPC), (SYNC, errno.EIO)):
        for nth in range(1, tries + 1):
            path = folder / f"{kind}-{nth}.sqlite"
            shim.shim_arm(kind, ctypes.c_long(nth), error)
            store, acknowledged = None, set()
            for number in range(12):
                for _ in range(3):  # one failure is armed: the second or third attempt must succeed
                    before = shim.shim_calls(SYNC)
                    try:
                        store = store or Store(path)
                        before = shim.shim_calls(SYNC)
                        event(store, number)
                    except StoreError:
                        counts["failures"] += 1
                        continue
                    counts["commits_without_sync"] += shim.shim_calls(SYNC) == before
                    acknowledged.add(f"{number:06d}")
                    break
                else:
                    raise AssertionError(f"event {number} could not be written again")
            reached = shim.shim_calls(kind) >= nth
            shim.shim_arm(kind, 0, 0)
            assert store is not None
            store.close()
            counts["acknowledged"] += len(acknowledged)
            counts["lost"] += len(acknowledged - stored(path))
            if not reached:  # every write or sync of a life has failed once
                break
    return counts


if __name__ == "__main__":
    torch.set_num_threads(1)
    task, where, times = sys.argv[1:]
    print(json.dumps({"kill": kill, "fail": fail}[task](Path(where), int(times))))
