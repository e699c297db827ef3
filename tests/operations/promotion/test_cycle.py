"""A turn of the loop: whose labels it uses, what it leaves, who may run it, and what a kill does to it."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import _cycle_kills as kills
from gantrans.data import PairedDataset
from gantrans.errors import BusyError, ConfigError, DataError
from gantrans.images import unit_from_uint8
from gantrans.operations.feedback.store import Store
from gantrans.operations.promotion import cycle
from gantrans.operations.promotion.challenge_pairs import WindowConfig, is_judged, layout_of, windows_of
from gantrans.operations.promotion.cycle import PROMOTED, REFUSED, WAITING, CycleConfig, Outcome
from gantrans.operations.promotion.gate import GateConfig
from gantrans.operations.promotion.registry import Registry
from gantrans.operations.promotion.versions import RegistryError

DIRECTION = kills.DIRECTION
NEVER = replace(kills.CONFIG, gate=replace(kills.CONFIG.gate, alpha=0.001, resamples=10_000))
"""A gate that the small gain of the tests does not convince."""


@pytest.fixture
def registry(site: Path) -> Registry:
    return Registry(site / "models", clock=lambda: 1e9)


@pytest.fixture
def store(site: Path) -> Iterator[Store]:
    opened = Store(site / "feedback.sqlite")
    yield opened
    opened.close()


def run(registry: Registry, store: Store, config: CycleConfig = kills.CONFIG) -> Outcome:
    return cycle.run_cycle(registry, store, DIRECTION, config, progress=False, device="cpu")


def more_labels(store: Store, count: int, *, made_at: str | None = None, name: str = "late") -> None:
    """Images with labels, taken at `made_at`."""
    pairs = cycle_pairs(count)
    for i, (sem, layout) in enumerate(zip(*pairs, strict=True)):
        store.register(f"{name}{i:03d}", DIRECTION, "v0001", sem, layout, made_at=made_at)
        store.add_label(f"{name}{i:03d}-truth", f"{name}{i:03d}", "truth", layout)


def cycle_pairs(count: int) -> tuple:
    pairs = kills.make_pairs("procedural", count=count, size=16, seed=77, progress=False)
    return unit_from_uint8(pairs.sem), unit_from_uint8(pairs.layout)


def test_a_turn_promotes_and_waits_for_new_labels(registry: Registry, store: Store) -> None:
    found = run(registry, store)
    assert (found.outcome, found.version, found.champion) == (PROMOTED, "v0002", "v0001")
    assert registry.aliases(DIRECTION).line == ("v0001", "v0002")
    version = registry.verify(DIRECTION, "champion")
    assert version.about["parent"] == "v0001"
    last = registry.history(DIRECTION)[-1]
    assert (last["action"], last["details"]["who"], last["details"]["labels"]) == ("promote", "gate", 48)
    assert "v0002 replaces v0001" in registry.story(DIRECTION)[1]["why"]
    again = run(registry, store)
    assert (again.outcome, again.version) == (WAITING, None)
    assert "0 labels since the last challenge, of at least 8" in again.why
    more_labels(store, 8)
    assert run(registry, store).outcome != WAITING
    assert kills.left_over(registry.root) == ""


def test_a_refusal_leaves_the_champion_and_its_reason(registry: Registry, store: Store) -> None:
    found = run(registry, store, NEVER)
    assert (found.outcome, found.version) == (REFUSED, "v0002")
    state = registry.aliases(DIRECTION)
    assert (state.champion, state.challenger) == ("v0001", None)
    row = registry.story(DIRECTION)[1]
    assert row["events"][-1]["action"] == "refuse"
    assert "lower bound" in row["why"]
    more_labels(store, 8)
    assert "has judged 1 challengers of this regime before" in str(run(registry, store, NEVER))


def test_too_few_layouts_to_judge_start_no_training(
    registry: Registry, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cycle, "fine_tune", lambda *_, **__: pytest.fail("it trained"))
    found = run(registry, store, replace(kills.CONFIG, gate=GateConfig(fewest_clusters=40)))
    assert found.outcome == WAITING
    assert "layouts judge, of at least 40" in found.why
    assert registry.versions(DIRECTION) == ["v0001"]


def test_a_layout_never_changes_sides(registry: Registry, store: Store) -> None:
    def sides() -> tuple[set[str], set[str]]:
        found = windows_of(store, registry, DIRECTION, WindowConfig())
        return set(map(layout_of, found.new.names)), set(map(layout_of, found.hold.names))

    first = sides()
    more_labels(store, 40)
    later = sides()
    assert not later[0] & later[1]
    assert first[0] <= later[0]
    assert first[1] <= later[1]
    assert min(map(len, first)) > 12  # about half of 48
    assert {is_judged(f"cell7--{i}") for i in range(20)} == {is_judged("cell7@0,16")}


def test_a_retired_regime_is_neither_taught_nor_replayed(registry: Registry, store: Store) -> None:
    now = windows_of(store, registry, DIRECTION, WindowConfig())
    assert now.replay is not None
    assert now.old is not None
    regime = registry.retire(DIRECTION, opens="scanner B", since="2027-01-01", why="new scanner", who="me")
    with pytest.raises(DataError, match="no labelled image of sem2layout in the regime 'scanner B' since"):
        windows_of(store, registry, DIRECTION, WindowConfig())
    more_labels(store, 20, made_at="2027-01-02T00:00:00Z", name="new")
    more_labels(store, 20, made_at="2026-12-31T23:59:59Z", name="old")  # labelled later than the new ones
    found = windows_of(store, registry, DIRECTION, WindowConfig())
    assert {name[:3] for name in found.new.names + found.hold.names} == {"new"}
    assert (found.replay, found.old, found.labels) == (None, None, 20)
    assert registry.regimes(DIRECTION)[-1] == regime
    assert [r.name for r in registry.regimes(DIRECTION)] == ["first", "scanner B"]
    done = run(registry, store, replace(kills.CONFIG, gate=replace(kills.CONFIG.gate, fewest_clusters=4)))
    assert done.decision is not None
    assert {check.name.split()[0] for check in done.decision.checks} == {"new", "smoke"}


def test_retiring_wants_a_reason_a_new_name_and_an_order(registry: Registry) -> None:
    with pytest.raises(ConfigError, match="Say why a regime is retired"):
        registry.retire(DIRECTION, opens="B", why=" ")
    registry.retire(DIRECTION, opens="B", why="-", since="2026-05-04T12:00:00+02:00")
    assert registry.regime(DIRECTION).since == "2026-05-04T10:00:00.000000+00:00"
    with pytest.raises(ConfigError, match="'B' cannot name a regime; choose a new name"):
        registry.retire(DIRECTION, opens="B", why="-")
    with pytest.raises(ConfigError, match="before 'B'"):
        registry.retire(DIRECTION, opens="C", why="-", since="2026-05-03")
    with pytest.raises(ConfigError, match="'yesterday' is no date"):
        registry.retire(DIRECTION, opens="C", why="-", since="yesterday")


def test_accepted_outputs_are_not_taught_unless_asked_for_and_never_judge(
    registry: Registry, store: Store
) -> None:
    for i, (sem, layout) in enumerate(zip(*cycle_pairs(20), strict=True)):
        store.register(f"own{i:02d}", DIRECTION, "v0001", sem, 0.4 + 0.2 * layout)
        store.judge(f"own{i:02d}", "accept", id=f"verdict{i:02d}")

    def own(pairs: PairedDataset) -> list[int]:
        return [i for i, name in enumerate(pairs.names) if name.startswith("own")]

    left = windows_of(store, registry, DIRECTION, WindowConfig())
    assert own(left.new) == own(left.hold) == []
    assert any("20 accepted outputs are left out" in note and "self-training" in note for note in left.notes)
    taken = windows_of(store, registry, DIRECTION, WindowConfig(accepted=True))
    assert own(taken.new)
    assert own(taken.hold) == []
    assert any("accepted outputs of the model itself" in note for note in taken.notes)
    assert set(taken.new.layout[own(taken.new)].unique().tolist()) == {0, 255}  # cut, as a label would be


@pytest.mark.parametrize("moves", [False, True])
def test_a_promotion_moves_the_reference_only_if_it_is_told_to(
    registry: Registry, store: Store, moves: bool
) -> None:
    assert registry.reference(DIRECTION) is None
    before = registry.set_reference(
        DIRECTION, version="champion", why="at acceptance", value=0.75, metric="iou", count=96
    )
    assert before.version == "v0001"
    assert run(registry, store, replace(kills.CONFIG, move_reference=moves)).outcome == PROMOTED
    after = registry.reference(DIRECTION)
    if moves:
        assert after is not None
        assert (after.version, after.why) == ("v0002", "v0002 was promoted with --move-reference")
        assert after.count == len(windows_of(store, registry, DIRECTION, WindowConfig()).hold)
    else:
        assert after == before
    registry.rollback(DIRECTION, why="-")
    assert registry.reference(DIRECTION) == after


def test_a_registered_challenger_that_was_not_judged_is_judged_by_the_next_turn(
    registry: Registry, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as dying:
        dying.setattr(cycle, "judge", lambda *_, **__: pytest.fail("killed here"))
        with pytest.raises(pytest.fail.Exception, match="killed here"):
            run(registry, store)
    assert registry.aliases(DIRECTION).challenger == "v0002"
    with monkeypatch.context() as once:
        once.setattr(cycle, "fine_tune", lambda *_, **__: pytest.fail("it trained again"))
        assert run(registry, store).version == "v0002"
    assert registry.versions(DIRECTION) == ["v0001", "v0002"]


def test_a_regime_that_ends_during_a_turn_promotes_nothing(
    registry: Registry, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judged(*given: object, **named: object) -> object:
        registry.retire(DIRECTION, opens="B", why="just now")
        return real(*given, **named)

    real = cycle.judge
    monkeypatch.setattr(cycle, "judge", judged)
    with pytest.raises(RegistryError, match="'first' was retired while v0002 was judged by it; nothing was"):
        run(registry, store)
    assert registry.aliases(DIRECTION).champion == "v0001"


def test_a_damaged_picture_is_left_out_with_a_count(registry: Registry, store: Store) -> None:
    count = len(windows_of(store, registry, DIRECTION, WindowConfig()).new)
    taught = next(pair for pair in store.pairs(DIRECTION) if not is_judged(pair.prediction))
    with store.transaction() as connection:
        connection.execute("UPDATE image SET png = ? WHERE sha256 = ?", (b"damaged", taught.input))
    found = windows_of(store, registry, DIRECTION, WindowConfig())
    assert len(found.new) == count - 1
    assert "1 of them are left out: damaged in the store" in " ".join(found.notes)


def test_a_second_turn_is_refused_and_says_who_holds_the_lock(
    site: Path, registry: Registry, store: Store
) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom gantrans.operations.promotion.cycle import alone\n"
        "from gantrans.operations.promotion.registry import Registry\n"
        f"with alone(Registry(Path(r'{site / 'models'}')), '{DIRECTION}'):\n"
        "    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match=f"The cycle of sem2layout in .* is in use by .*{holder.pid}"):
            run(registry, store)
        holder.kill()  # the system releases the lock of a killed process
        holder.wait()
        assert run(registry, store).outcome == PROMOTED
    finally:
        holder.kill()
        holder.communicate()


@pytest.mark.skipif(not hasattr(kills.os, "fork"), reason="this system cannot fork")
def test_a_turn_killed_at_any_step_leaves_one_champion_and_goes_on(tmp_path: Path) -> None:
    """Ten of some two hundred kills; `python -m benchmarks operations_cycle` does them all."""
    found = kills.in_a_process("steps", tmp_path / "site", 10, offset=3)
    assert found.wrong == ()
    assert (found.kills, found.steps) == (10, 10)


@pytest.mark.skipif(not hasattr(kills.os, "fork"), reason="this system cannot fork")
def test_kills_at_random_moments_lose_no_label_and_no_promotion(tmp_path: Path) -> None:
    found = kills.in_a_process("moments", tmp_path / "site", 4)
    assert found.wrong == ()
    assert found.labels > 4
