"""Lesson 06: a buffer of past pairs of condition and fake."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips
from lessons.lesson06.exercises._exchange import (
    Answer,
    Pair,
    coin,
    keep,
    one_by_one,
    somewhere,
    swap,
    when_full,
)

ex = Exercise(
    id="exchange_fakes",
    lesson="06",
    title="Remind D of past fakes",
    difficulty=3,
    minutes=15,
    spec="""
    A buffer holds up to `capacity` pairs (condition, fake). Go through the batch image by image:

    - While the buffer is not full, the new pair is stored *and* given to D.
    - Once it is full, toss a coin, `torch.rand((), generator=generator)`. Below 0.5, D gets the new pair and
      the buffer stays as it is. Otherwise draw a place, `torch.randint(capacity, (), generator=generator)`:
      D gets the pair stored there, and the new pair takes its place.

    D judges fakes together with their conditions, so the two halves of a pair never part. Return what D gets
    (conditions, fakes) and the new list of pairs; change nothing that you were given but the generator. With
    capacity 0 the batch comes back as it is.
    """,
    hints=(
        "`pairs = list(pairs)` makes a list of your own. Then `for pair in zip(condition, fake, "
        "strict=True):`.",
        "Three cases: `len(pairs) < capacity`; the coin below 0.5 (or capacity 0, before any draw); the "
        "swap.",
        "The swap: `place = int(torch.randint(...))`, then `old, pairs[place] = pairs[place], pair`. At "
        "the end `torch.stack` the conditions and the fakes.",
    ),
    source="Shrivastava et al. 2017, sec. 2.3; Zhu et al. 2017 (CycleGAN, 50 images); "
    "gantrans.translation.buffer.",
    equivalent={
        "strict=True": "there are as many fakes as conditions",
        "`True` -> `False`": "there are as many fakes as conditions",
        "-> `torch.rand((), generator=generator) > 0.5`": "no draw is exactly 0.5",
        "-> `torch.randint(capacity, (), generator=generator)`": "a whole-number tensor is an index, too",
    },
)


@ex.reference
def exchange_fakes(
    pairs: list[tuple[Tensor, Tensor]],
    condition: Tensor,
    fake: Tensor,
    capacity: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]:
    """Stored pairs, each (C, H, W) twice, and a batch (B, C, H, W) twice -> conditions, fakes, new pairs."""
    pairs, given = list(pairs), []
    for pair in zip(condition, fake, strict=True):
        if len(pairs) < capacity:
            pairs.append(pair)
        elif capacity > 0 and torch.rand((), generator=generator) >= 0.5:
            place = int(torch.randint(capacity, (), generator=generator))
            pair, pairs[place] = pairs[place], pair
        given.append(pair)
    return torch.stack([c for c, _ in given]), torch.stack([f for _, f in given]), pairs


def _numbered(first: int, count: int) -> Pair:
    """Conditions first, first + 1, ... and fakes with the same numbers plus a half: (count, 1, 1, 1) each."""
    numbers = torch.arange(float(first), float(first + count)).view(-1, 1, 1, 1)
    return numbers, numbers + 0.5


def _stored(count: int) -> list[Pair]:
    return list(zip(*_numbered(-count, count), strict=True))


@ex.edges
def _() -> list[Args]:
    filling = [(0, 2, 2), (0, 3, 2), (1, 3, 2), (2, 4, 2), (2, 5, 2), (3, 8, 3), (2, 1, 2), (4, 9, 4)]
    sizes = [*filling, (0, 2, 0), (0, 1, 1), (1, 6, 1), (0, 5, 0)]  # stored, in the batch, capacity
    return [
        (_stored(stored), *_numbered(1, batch), capacity, torch.Generator().manual_seed(capacity + seed))
        for seed in (0, 1)
        for stored, batch, capacity in sizes
    ]


@ex.inputs
def _(case: Case) -> Args:
    shape = (1, 2, case.integer(1, 3))
    capacity = case.integer(1, 5)
    stored = capacity if case.seed % 2 else case.integer(0, capacity)
    pairs = [(case.randn(*shape), case.randn(*shape)) for _ in range(stored)]
    batch = case.batch + case.integer(0, 3)
    return pairs, case.randn(batch, *shape), case.randn(batch, *shape), capacity, case.generator


ex.wrong(
    "always_swapped",
    "You always swap once the buffer is full: D would hardly see the newest fakes.",
    when_full(lambda pairs, pair, draw: swap(pairs, somewhere(pairs, draw), pair)),
)
ex.wrong(
    "coin_turned",
    "You swap when the coin is *below* 0.5; the task fixes which half means what.",
    when_full(lambda pairs, pair, draw: pair if coin(draw) else swap(pairs, somewhere(pairs, draw), pair)),
)
ex.wrong(
    "not_replaced",
    "You give an old pair out and do not store the new one: the buffer never changes once it is full.",
    when_full(lambda pairs, pair, draw: pairs[somewhere(pairs, draw)] if coin(draw) else pair),
)
ex.wrong(
    "oldest_first",
    "You always swap the oldest pair: a queue reminds D of one moment only, not of all the past.",
    when_full(lambda pairs, pair, draw: (keep(pairs, pair), pairs.pop(0))[1] if coin(draw) else pair),
)
ex.wrong(
    "moved_to_the_end",
    "You take the old pair out and append the new one; it takes the old one's place.",
    when_full(
        lambda pairs, pair, draw: (
            (keep(pairs, pair), pairs.pop(somewhere(pairs[1:], draw)))[1] if coin(draw) else pair
        )
    ),
)


@ex.wrong(
    "two_places",
    "You draw one place for the condition and another for the fake: the halves of the pairs part.",
)
@when_full
def _(pairs: list[Pair], pair: Pair, draw: torch.Generator) -> Pair:
    if not coin(draw):
        return pair
    here, there = somewhere(pairs, draw), somewhere(pairs, draw)
    mixed = pairs[here][0], pairs[there][1]
    pairs[here] = pair
    return mixed


@ex.wrong("place_always_drawn", "You draw a place whatever the coin says: the draws that follow are others.")
@when_full
def _(pairs: list[Pair], pair: Pair, draw: torch.Generator) -> Pair:
    due, place = coin(draw), somewhere(pairs, draw)
    return swap(pairs, place, pair) if due else pair


@ex.wrong("place_first", "You draw the place before you toss the coin: the order of the draws is fixed.")
@when_full
def _(pairs: list[Pair], pair: Pair, draw: torch.Generator) -> Pair:
    place = somewhere(pairs, draw)
    return swap(pairs, place, pair) if coin(draw) else pair


@ex.wrong(
    "coin_while_filling", "You toss the coin even while the buffer fills: the draws that follow are others."
)
@one_by_one
def _(pairs: list[Pair], pair: Pair, capacity: int, draw: torch.Generator) -> Pair:
    due = coin(draw) if capacity else False
    if len(pairs) < capacity:
        return keep(pairs, pair)
    return swap(pairs, somewhere(pairs, draw), pair) if due else pair


@ex.wrong(
    "coin_without_a_buffer", "You toss a coin even if the capacity is 0; the batch comes back without a draw."
)
@one_by_one
def _(pairs: list[Pair], pair: Pair, capacity: int, draw: torch.Generator) -> Pair:
    if len(pairs) < capacity:
        return keep(pairs, pair)
    return swap(pairs, somewhere(pairs, draw), pair) if coin(draw) and capacity else pair


ex.wrong(
    "swapped_before_full",
    "You swap while the buffer is filling up; until it is full, every new pair goes to D.",
    one_by_one(
        lambda pairs, pair, capacity, draw: (
            swap(pairs, somewhere(pairs, draw), pair)
            if pairs and coin(draw)
            else keep(pairs, pair)
            if len(pairs) < capacity
            else pair
        )
    ),
)
ex.wrong(
    "not_stored_while_filling",
    "You store nothing while the buffer is not full, so it never fills.",
    one_by_one(
        lambda pairs, pair, capacity, draw: (
            swap(pairs, somewhere(pairs, draw), pair)
            if capacity and len(pairs) >= capacity and coin(draw)
            else pair
        )
    ),
)
ex.wrong(
    "parted",
    "You swap the fake and leave its condition: D sees an old SEM image beside another layout.",
    lambda pairs, condition, *rest: (condition, *exchange_fakes(pairs, condition, *rest)[1:]),
)
ex.wrong(
    "not_given",
    "You store the new pair but do not give the old one out: D never sees the past.",
    lambda pairs, condition, fake, *rest: (
        condition,
        fake,
        exchange_fakes(pairs, condition, fake, *rest)[2],
    ),
)
ex.wrong(
    "one_too_many",
    "You let the buffer grow to capacity + 1.",
    lambda pairs, condition, fake, capacity, draw: exchange_fakes(pairs, condition, fake, capacity + 1, draw),
)
ex.wrong(
    "no_buffer",
    "You give the batch back and store nothing.",
    lambda pairs, condition, fake, capacity, draw: (condition, fake, pairs),
)
ex.wrong(
    "global_random",
    "You draw from the global random state instead of `generator`: a resumed run would see other pairs.",
    lambda pairs, condition, fake, capacity, draw: exchange_fakes(
        pairs, condition, fake, capacity, torch.default_generator
    ),
)


@ex.wrong("one_coin", "You toss one coin for the whole batch; every image has its own.")
def _(pairs: list[Pair], condition: Tensor, fake: Tensor, capacity: int, draw: torch.Generator) -> Answer:
    tossed: list[bool] = []

    def rule(pairs: list[Pair], pair: Pair, draw: torch.Generator) -> Pair:
        if not tossed:
            tossed.append(coin(draw))
        return swap(pairs, somewhere(pairs, draw), pair) if tossed[0] else pair

    return when_full(rule)(pairs, condition, fake, capacity, draw)


@ex.wrong("in_place", "You change the list that you were given; make one of your own first.")
def _(pairs: list[Pair], condition: Tensor, fake: Tensor, capacity: int, draw: torch.Generator) -> Answer:
    conditions, fakes, pairs[:] = exchange_fakes(pairs, condition, fake, capacity, draw)
    return conditions, fakes, pairs


@ex.right
def _(pairs: list[Pair], condition: Tensor, fake: Tensor, capacity: int, draw: torch.Generator) -> Answer:
    if not capacity:
        return condition, fake, pairs
    kept, conditions, fakes = pairs.copy(), condition.clone(), fake.clone()
    for i in range(len(fake)):
        new = condition[i].clone(), fake[i].clone()
        if len(kept) < capacity:
            kept.append(new)
        elif not torch.rand((), generator=draw) < 0.5:
            place = int(torch.randint(capacity, (), generator=draw).item())
            conditions[i], fakes[i] = kept[place]
            kept[place] = new
    return conditions, fakes, kept


@ex.right
def _(pairs: list[Pair], condition: Tensor, fake: Tensor, capacity: int, draw: torch.Generator) -> Answer:
    def one(pair: Pair) -> Pair:
        if len(kept) < capacity:
            kept.append(pair)
            return pair
        if not capacity or torch.rand((), generator=draw) < 0.5:
            return pair
        place = int(torch.randint(0, capacity, (), generator=draw))
        old = kept.pop(place)
        kept.insert(place, pair)
        return old

    kept = [*pairs]
    conditions, fakes = zip(*map(one, zip(condition, fake, strict=True)), strict=True)
    return torch.stack(conditions), torch.stack(fakes), kept


@ex.right
def _(pairs: list[Pair], condition: Tensor, fake: Tensor, capacity: int, draw: torch.Generator) -> Answer:
    free = max(0, capacity - len(pairs))
    kept = [*pairs, *list(zip(condition, fake, strict=True))[:free]]
    given = list(zip(condition, fake, strict=True))
    for i in range(min(free, len(given)), len(given) if capacity else 0):
        if torch.rand(1, generator=draw).item() >= 0.5:
            place = int(torch.randint(0, capacity, (1,), generator=draw)[0])
            given[i], kept[place] = kept[place], given[i]
    return torch.stack([pair[0] for pair in given]), torch.stack([pair[1] for pair in given]), kept


@ex.right
def _(pairs: list[Pair], condition: Tensor, fake: Tensor, capacity: int, draw: torch.Generator) -> Answer:
    # all conditions and all fakes ever seen, and lists of indices into them
    conditions = [*(c for c, _ in pairs), *condition.unbind()]
    fakes = [*(f for _, f in pairs), *fake.unbind()]
    stored, given = list(range(len(pairs))), []
    for new in range(len(pairs), len(fakes)):
        if len(stored) < capacity:
            stored.append(new)
            given.append(new)
        elif capacity and torch.rand((), generator=draw) >= 0.5:
            place = int(torch.randint(capacity, size=(), generator=draw))
            given.append(stored[place])
            stored[place] = new
        else:
            given.append(new)
    kept = [(conditions[i], fakes[i]) for i in stored]
    return torch.stack([conditions[i] for i in given]), torch.stack([fakes[i] for i in given]), kept


common_slips(ex, "returned_nothing")

ex.breach("A buffer holds up to `capacity` pairs", "one_too_many")
ex.breach("Go through the batch image by image", "one_coin")
ex.breach("While the buffer is not full", "swapped_before_full")
ex.breach("the new pair is stored *and* given", "not_stored_while_filling")
ex.breach("Once it is full, toss a coin", "always_swapped")
ex.breach("Once it is full, toss a coin", "coin_while_filling")
ex.breach("`torch.rand((), generator=generator)`", "global_random")
ex.breach("Below 0.5", "coin_turned")
ex.breach("Otherwise draw a place", "oldest_first")
ex.breach("Otherwise draw a place", "place_first")
ex.breach("D gets the pair stored there", "not_given")
ex.breach("the new pair takes its place", "not_replaced")
ex.breach("the two halves of a pair never part", "two_places")
ex.breach("the two halves of a pair never part", "parted")
ex.breach("Return what D gets", "no_buffer")
ex.breach("change nothing that you were given", "in_place")
ex.breach("With capacity 0", "coin_without_a_buffer")
