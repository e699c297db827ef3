"""Lesson 12: which new and which old pairs make up a batch."""

import math
import random

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
        (7, 1, 0.25),
        (6, 1, 0.25),
        (10, 6, 0.25),
        (11, 6, 0.25),
        (1000, 8, 0.875),
        (0, 4, 0.0),
        (0, 4, 1.0),
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
    return _slots(step, batch_size, 1 - share)


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


@ex.wrong("rounded_up", "You round up; halves go up, and less than a half goes down.")
def _(step: int, batch_size: int, share: float) -> Slots:
    first, last = (math.ceil(share * batch_size * s) for s in (step, step + 1))
    return _between(step, batch_size, first, last)


@ex.wrong("halves_down", "You round halves down; here they go up.")
def _(step: int, batch_size: int, share: float) -> Slots:
    first, last = (math.ceil(share * batch_size * s - 0.5) for s in (step, step + 1))
    return _between(step, batch_size, first, last)


@ex.wrong(
    "old_first",
    "You have new and old the wrong way round: new pairs come first, `share` is that of old ones.",
)
def _(step: int, batch_size: int, share: float) -> Slots:
    new, old = _slots(step, batch_size, share)
    return old, new


@ex.wrong(
    "own_size_times_step",
    "You start the queues at this batch's own numbers of pairs times `step`; earlier batches may have taken "
    "more or fewer.",
)
def _(step: int, batch_size: int, share: float) -> Slots:
    new, old = _slots(step, batch_size, share)
    return [len(new) * step + i for i in range(len(new))], [len(old) * step + i for i in range(len(old))]


@ex.wrong("counts_only", "You return how many pairs of each kind; their numbers were asked for.")
def _(step: int, batch_size: int, share: float) -> tuple[int, int]:
    new, old = _slots(step, batch_size, share)
    return len(new), len(old)


@ex.wrong(
    "old_from_the_front", "You begin the old pairs at 0 in each batch: the same few are replayed for ever."
)
def _(step: int, batch_size: int, share: float) -> Slots:
    new, old = _slots(step, batch_size, share)
    return new, list(range(len(old)))


@ex.wrong("one_behind", "You give the batch before this one; batch 0 is the first.")
def _(step: int, batch_size: int, share: float) -> Slots:
    return _slots(step - 1, batch_size, share)


@ex.wrong("counted_from_one", "You number the queues from 1; they begin at 0.")
def _(step: int, batch_size: int, share: float) -> Slots:
    new, old = _slots(step, batch_size, share)
    return [i + 1 for i in new], [i + 1 for i in old]


@ex.wrong(
    "new_not_less_old",
    "You start the new pairs at `step * batch_size`: the old ones are counted as new, too.",
)
def _(step: int, batch_size: int, share: float) -> Slots:
    new, old = _slots(step, batch_size, share)
    return [step * batch_size + i for i in range(len(new))], old


@ex.wrong(
    "at_random", "You draw the numbers at random: an interrupted training could not be resumed exactly."
)
def _(step: int, batch_size: int, share: float) -> Slots:
    count = len(_slots(step, batch_size, share)[1])
    return [random.randrange(99) for _ in range(batch_size - count)], [
        random.randrange(99) for _ in range(count)
    ]


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


ex.breach("`share` of all pairs are to be old", "share_of_new")
ex.breach("New pairs wait in a queue numbered 0, 1, 2, ...", "from_the_front")
ex.breach("each batch takes the next of both", "one_queue")
ex.breach("Before batch `step`, `share * batch_size * step` old pairs", "same_in_every_batch")
ex.breach("(halves up)", "bankers_rounding")
ex.breach("Return the numbers of the new and of the old pairs", "old_first")
ex.breach("It must be a function of `step` alone", "at_random")
