"""Paired datasets, the stratified sampler and batches as a pure function of the step."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gantrans.data.imaging import PRESETS
from gantrans.data.pairs import BatchSource, PairedDataset, StratifiedSampler, dihedral, make_pairs
from gantrans.errors import DataError
from gantrans.images import network_from_uint8


@pytest.fixture(scope="module")
def pairs() -> PairedDataset:
    return make_pairs("procedural", count=40, size=32, progress=False)


def test_a_longer_dataset_begins_with_the_shorter_one() -> None:
    for source in ("procedural", "sky130"):
        long, short = (make_pairs(source, count=n, size=32, seed=3, progress=False) for n in (67, 65))
        assert torch.equal(long.sem[:65], short.sem)
        assert torch.equal(long.layout[:65], short.layout)
        assert long.names[:65] == short.names
        assert long.family[:65] == short.family


def test_pairs_differ_between_splits_seeds_and_difficulties() -> None:
    made = [
        make_pairs("procedural", count=4, size=32, progress=False, **change)
        for change in ({}, {"split": "val"}, {"split": "test"}, {"seed": 1})
    ]
    assert len({pairs.layout.numpy().tobytes() for pairs in made}) == 4
    hard = make_pairs("procedural", count=4, size=32, difficulty="hard", progress=False)
    assert torch.equal(hard.layout, made[0].layout)
    assert not torch.equal(hard.sem, made[0].sem)
    own = make_pairs("procedural", count=4, size=32, imaging=PRESETS["hard"], progress=False)
    assert torch.equal(own.sem, hard.sem)


def test_sem_and_layout_belong_together(pairs: PairedDataset) -> None:
    """Bright edges follow the layout: its edge map correlates with the SEM far better than another clip's."""
    layout = pairs.layout.float()
    edges = (torch.nn.functional.max_pool2d(layout, 3, 1, 1) - layout).flatten(1)
    sem = pairs.sem.float().flatten(1)

    def correlation(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
        return (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)).clamp(min=1e-6)

    own, other = correlation(edges, sem), correlation(edges.roll(1, 0), sem)
    assert own.mean() > other.mean() + 0.15


def test_roles_subset_and_items(pairs: PairedDataset) -> None:
    assert pairs.roles("sem2layout") == (pairs.sem, pairs.layout)
    assert pairs.roles("layout2sem") == (pairs.layout, pairs.sem)
    part = pairs.subset([5, 2])
    assert part.names == [pairs.names[5], pairs.names[2]]
    sem, layout, family = part[1]
    assert torch.equal(sem, pairs.sem[2])
    assert torch.equal(layout, pairs.layout[2])
    assert family == pairs.family[2]
    assert sem.dtype == torch.uint8
    assert len(part) == 2


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from("aaaabcde"), min_size=1, max_size=30),
    st.integers(1, 7),
    st.integers(0, 5),
)
def test_families_take_equal_turns_and_every_item_comes_once_per_lap(
    families: list[str], batch: int, seed: int
) -> None:
    names = sorted(set(families))
    largest = max(Counter(families).values())
    steps = -(-largest * len(names) // batch)  # enough for one lap of the largest family
    sampler = StratifiedSampler(families, batch, seed)
    drawn = [i for step in range(steps) for i in sampler.indices(step)][: largest * len(names)]
    assert set(drawn) == set(range(len(families)))
    turns = Counter(families[i] for i in drawn)
    assert set(turns.values()) == {largest}
    for name in names:
        visits = [i for i in drawn if families[i] == name]
        size = families.count(name)
        for lap in range(len(visits) // size):
            assert len(set(visits[lap * size : (lap + 1) * size])) == size


def test_without_stratification_an_epoch_is_a_permutation() -> None:
    sampler = StratifiedSampler(["a"] * 9 + ["b"], 5, 0, stratified=False)
    first, second = ([i for s in steps for i in sampler.indices(s)] for steps in ((0, 1), (2, 3)))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_a_batch_is_a_pure_function_of_seed_and_step(pairs: PairedDataset) -> None:
    source = BatchSource(pairs, "sem2layout", 6, seed=1)
    batches = [source(step) for step in range(8)]
    again = BatchSource(pairs, "sem2layout", 6, seed=1)(5)  # a fresh source, straight at step 5
    assert torch.equal(again["input"], batches[5]["input"])
    assert torch.equal(again["target"], batches[5]["target"])
    assert again["family"] == batches[5]["family"]
    assert not torch.equal(batches[4]["input"], batches[5]["input"])
    assert not torch.equal(BatchSource(pairs, "sem2layout", 6, seed=2)(5)["input"], again["input"])
    assert again["input"].dtype == torch.float32
    assert -1 <= again["input"].min() < again["input"].max() <= 1


def test_augmentation_is_geometric_and_equal_for_both(pairs: PairedDataset) -> None:
    source = BatchSource(pairs, "layout2sem", 8, seed=0)
    seen = set()
    for step in range(6):
        batch, chosen = source(step), source.sampler.indices(step)
        for i, index in enumerate(chosen):
            want = [
                network_from_uint8(dihedral(x[index], k)) for k in range(8) for x in (pairs.layout, pairs.sem)
            ]
            fits = [
                k
                for k in range(8)
                if torch.equal(batch["input"][i], want[2 * k])
                and torch.equal(batch["target"][i], want[2 * k + 1])
            ]
            assert len(fits) == 1
            seen.add(fits[0])
            assert batch["family"][i] == pairs.family[index]
    assert seen == set(range(8))
    plain = BatchSource(pairs, "layout2sem", 8, seed=0, augment=False)
    assert torch.equal(plain(0)["input"], network_from_uint8(pairs.layout[plain.sampler.indices(0)]))


def test_dihedral_has_eight_different_elements() -> None:
    image = torch.arange(9).reshape(1, 3, 3)
    assert len({dihedral(image, k).numpy().tobytes() for k in range(8)}) == 8


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source": "gds"}, "source is 'gds'"),
        ({"split": "dev"}, "split is 'dev'"),
        ({"difficulty": "insane"}, "difficulty is 'insane'"),
        ({"layer": "met1"}, "layer is 'met1'"),
        ({"count": 0}, "count is 0"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        make_pairs(**{"source": "sky130", "count": 1, "progress": False, **change})  # type: ignore[arg-type]


def test_unequal_parts_are_refused(pairs: PairedDataset) -> None:
    with pytest.raises(DataError, match="equal numbers and sizes"):
        PairedDataset(pairs.sem, pairs.layout[:3], pairs.family, 20.0, pairs.names)
    with pytest.raises(DataError, match="direction is 'sem'"):
        pairs.roles("sem")
