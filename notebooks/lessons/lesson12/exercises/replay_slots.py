"""Lesson 12: which new and which old pairs make up a batch."""

import math

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

Slots = tuple[list[int], list[int]]

ex = Exercise(
    id="replay_slots",
    lesson="12",
    title="The mix of a batch",
    difficulty=3,
    minutes=12,
    spec="""
    A batch of `batch_size` pairs holds new and old ones, and `share` of all pairs are to be old. New pairs
    wait in a queue numbered 0, 1, 2, ..., old ones in another; each batch takes the next of both. Before
    batch `step`, `share * batch_size * step` old pairs should have been taken, rounded to the nearest whole
    number (halves up). Return the numbers of the new and of the old pairs in batch `step`. It must be a
    function of `step` alone, or an interrupted training could not be resumed exactly.
    """,
    hints=(
        "How many old pairs were taken before batch `step`, and how many before batch `step + 1`?",
        "`before = floor(share * batch_size * step + 0.5)` and the same for `step + 1`: the old numbers are "
        "the range between the two.",
        "All pairs before the batch number `step * batch_size`; those that were not old were new.",
    ),
    source="Error diffusion on one line (Bresenham 1965); replay: Rolnick et al. 2019.",
)


@ex.reference
def replay_slots(step: int, batch_size: int, share: float) -> tuple[list[int], list[int]]:
    """Numbers of the new and of the old pairs in batch `step` (0, 1, ...); `share` in [0, 1] are old."""
    first = math.floor(share * batch_size * step + 0.5)
    last = math.floor(share * batch_size * (step + 1) + 0.5)
    new = range(step * batch_size - first, (step + 1) * batch_size - last)
    return list(new), list(range(first, last))


@ex.edges
def _() -> list[Args]:
    return [
        (0, 4, 0.5),
        (3, 4, 0.0),
        (3, 4, 1.0),
        (0, 1, 0.5),
        (1, 1, 0.5),
        (2, 2, 0.25),
        (1, 4, 0.375),
        (5, 3, 0.125),
    ]


@ex.inputs
def _(case: Case) -> Args:
    return case.integer(0, 30), case.integer(1, 9), case.integer(0, 8) / 8


def _between(step: int, batch_size: int, first: int, last: int) -> Slots:
    new = range(step * batch_size - first, (step + 1) * batch_size - last)
    return list(new), list(range(first, last))


def _before(step: int, batch_size: int, share: float) -> int:
    return math.floor(share * batch_size * step + 0.5)


def _slots(step: int, batch_size: int, share: float) -> Slots:
    return _between(step, batch_size, _before(step, batch_size, share), _before(step + 1, batch_size, share))


@ex.wrong(
    "same_in_every_batch",
    "You round within each batch: at a share of 0.3 and a batch of 4 that is 0.25 for ever.",
)
def _(step: int, batch_size: int, share: float) -> Slots:
    each = math.floor(share * batch_size + 0.5)
    return _between(step, batch_size, each * step, each * (step + 1))


@ex.wrong("rounded_down", "You round down: the share comes out too small by up to one pair.")
def _(step: int, batch_size: int, share: float) -> Slots:
    first, last = (math.floor(share * batch_size * s) for s in (step, step + 1))
    return _between(step, batch_size, first, last)


@ex.wrong("share_of_new", "You take `share` for the share of new pairs; it is that of old ones.")
def _(step: int, batch_size: int, share: float) -> Slots:
    old, new = _slots(step, batch_size, share)
    return new, old


@ex.wrong(
    "from_the_front",
    "You begin both queues at 0 in each batch: training would see the same few pairs again and again.",
)
def _(step: int, batch_size: int, share: float) -> Slots:
    new, old = _slots(step, batch_size, share)
    return list(range(len(new))), list(range(len(old)))


@ex.wrong(
    "one_queue",
    "You number both kinds with one counter: most pairs of either queue would never be used.",
)
def _(step: int, batch_size: int, share: float) -> Slots:
    new, _ = _slots(step, batch_size, share)
    start = step * batch_size
    return list(range(start, start + len(new))), list(range(start + len(new), start + batch_size))


@ex.wrong(
    "replaced_not_added",
    "You add the old pairs to a full batch of new ones: the batch is then larger than `batch_size`.",
)
def _(step: int, batch_size: int, share: float) -> Slots:
    _, old = _slots(step, batch_size, share)
    return list(range(step * batch_size, (step + 1) * batch_size)), old


@ex.wrong("one_ahead", "You give the batch after this one: batch 0 is the first.")
def _(step: int, batch_size: int, share: float) -> Slots:
    return _slots(step + 1, batch_size, share)


@ex.wrong("share_per_step", "You leave out the batch size: `share` is a share of pairs, not pairs per batch.")
def _(step: int, batch_size: int, share: float) -> Slots:
    first, last = (math.floor(share * s + 0.5) for s in (step, step + 1))
    return _between(step, batch_size, first, last)


@ex.wrong(
    "bankers_rounding",
    "You use `round`, which takes halves to the even neighbour; here halves go up.",
)
def _(step: int, batch_size: int, share: float) -> Slots:
    first, last = (round(share * batch_size * s) for s in (step, step + 1))
    return _between(step, batch_size, first, last)


ex.right(_slots)


@ex.right
def _(step: int, batch_size: int, share: float) -> Slots:
    new, old = 0, 0
    slots: Slots = [], []
    for s in range(step + 1):  # play it through from the start
        slots = [], []
        target = math.floor(share * batch_size * (s + 1) + 0.5)
        for _ in range(target - old):
            slots[1].append(old)
            old += 1
        while len(slots[0]) + len(slots[1]) < batch_size:
            slots[0].append(new)
            new += 1
    return slots


@ex.right
def _(step: int, batch_size: int, share: float) -> Slots:
    eighths = int(share * 8) * batch_size  # shares are eighths here: whole numbers, no rounding errors
    first, last = (eighths * step * 2 + 8) // 16, (eighths * (step + 1) * 2 + 8) // 16
    return _between(step, batch_size, first, last)


@ex.right
def _(step: int, batch_size: int, share: float) -> Slots:
    old = list(range(_before(step, batch_size, share), _before(step + 1, batch_size, share)))
    count = batch_size - len(old)
    start = batch_size * step - _before(step, batch_size, share)
    return [start + i for i in range(count)], old
