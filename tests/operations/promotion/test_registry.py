"""The registry: versions, aliases and history; faults at every step; damage that is named; kills."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gantrans.errors import CheckpointError
from gantrans.operations.promotion.disk import Disk, DiskError, as_json, read_json
from gantrans.operations.promotion.registry import Registry
from gantrans.operations.promotion.versions import RegistryError, load_predictor
from gantrans.training import load_checkpoint
from gantrans.translation import Predictor
from lessons.lesson12.experiments import kills

DIRECTION = kills.DIRECTION


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with champion v0002, previous v0001 and challenger v0003; tests work on copies."""
    folder = tmp_path_factory.mktemp("prepared")
    kills.prepared(folder)
    return folder


@pytest.fixture
def registry(prepared: Path, tmp_path: Path) -> Registry:
    shutil.copytree(prepared / "registry", tmp_path / "registry")
    return Registry(tmp_path / "registry", clock=lambda: 1e9)


def names(registry: Registry) -> tuple[str | None, str | None, str | None]:
    state = registry.aliases(DIRECTION)
    return state.champion, state.previous, state.challenger


def test_promotion_and_rollback_move_the_aliases(registry: Registry) -> None:
    assert names(registry) == ("v0002", "v0001", "v0003")
    registry.promote(DIRECTION, over="v0002", details={"verdict": "promote"})
    assert names(registry) == ("v0003", "v0002", None)
    assert registry.rollback(DIRECTION, why="bridges in the field").name == "v0002"
    assert names(registry) == ("v0002", "v0001", None)
    registry.rollback(DIRECTION, why="once more")
    assert names(registry) == ("v0001", None, None)
    with pytest.raises(RegistryError, match="no earlier champion to return to"):
        registry.rollback(DIRECTION, why="too often")
    last = registry.history(DIRECTION)[-2:]
    assert [(r["action"], r["version"], r["details"].get("why")) for r in last] == [
        ("rollback", "v0002", "bridges in the field"),
        ("rollback", "v0001", "once more"),
    ]
    assert last[0]["time"] == "2001-09-09T01:46:40+00:00"
    assert registry.versions(DIRECTION) == ["v0001", "v0002", "v0003"]  # nothing was deleted


def test_what_is_registered_is_what_is_served(prepared: Path, registry: Registry) -> None:
    run = prepared / "run1"
    image = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    served = registry.predictor(DIRECTION, device=torch.device("cpu")).translate(image)
    trained = Predictor.load(run, torch.device("cpu")).translate(image)
    assert torch.equal(served, trained)
    folder = registry.champion(DIRECTION)
    assert torch.equal(Predictor.load(folder, torch.device("cpu")).translate(image), trained)
    assert load_checkpoint(folder)["optimizers"].keys() == {"generator", "discriminator"}
    assert registry.version(DIRECTION, "champion").recipe.direction == DIRECTION


def test_a_version_that_is_not_there_is_named(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(
        RegistryError, match="no version 'v0009' of sem2layout; there are v0001, v0002, v0003"
    ):
        registry.promote(DIRECTION, "v0009")
    with pytest.raises(RegistryError, match="v0002 is the champion of sem2layout already"):
        registry.promote(DIRECTION, "v0002")
    with pytest.raises(RegistryError, match="compared with v0001, but the champion is v0002 now"):
        registry.promote(DIRECTION, over="v0001")
    with pytest.raises(RegistryError, match="no direction 'left'; choose one of sem2layout, layout2sem"):
        registry.champion("left")
    with pytest.raises(RegistryError, match="There is no champion for layout2sem"):
        registry.champion("layout2sem")
    with pytest.raises(RegistryError, match="Nothing is registered for layout2sem"):
        registry.promote("layout2sem")
    with pytest.raises(CheckpointError, match="There is no checkpoint at"):
        registry.register(tmp_path / "nothing")
    assert names(registry) == ("v0002", "v0001", "v0003")


@pytest.mark.parametrize("file", ["weights.safetensors", "last.pt", "version.json"])
def test_a_flipped_bit_stops_promotion_and_rollback(registry: Registry, file: str) -> None:
    for name, act in (
        ("v0003", lambda: registry.promote(DIRECTION)),
        ("v0001", lambda: registry.rollback(DIRECTION, why="-")),
    ):
        path = registry.version(DIRECTION, name).folder / file
        data = bytearray(path.read_bytes())
        at = data.index(b"sem2layout") if file == "version.json" else len(data) // 2
        data[at] ^= 1
        path.write_bytes(data)
        with pytest.raises(RegistryError, match=r"is not the file that was registered|was altered after"):
            act()
    assert names(registry) == ("v0002", "v0001", "v0003")


@pytest.mark.parametrize("name", ["../versions/v0001", "v0001/", "./v0001", "v1", "", ".", "v0001\n"])
def test_a_version_is_named_not_a_path(registry: Registry, name: str) -> None:
    with pytest.raises(RegistryError, match="There is no version"):
        registry.promote(DIRECTION, name)
    assert names(registry) == ("v0002", "v0001", "v0003")


@pytest.mark.parametrize(
    "stored",
    [
        {"line": None},
        {"line": [2]},
        {"line": "v0001"},
        {"challenger": 3},
        {"event": "5"},
        {"hash": None},
        {"manifests": []},
        None,
    ],
)
def test_a_state_with_other_contents_is_refused(registry: Registry, stored: dict | None) -> None:
    path = registry.root / DIRECTION / "aliases.json"
    contents = {} if stored is None else {**json.loads(path.read_text()), **stored}
    path.write_text(json.dumps(contents))
    with pytest.raises(RegistryError, match=r"aliases\.json holds no state of a registry; restore it"):
        registry.champion(DIRECTION)


def test_a_rollback_undoes_the_champion_that_was_shown(registry: Registry) -> None:
    registry.promote(DIRECTION)
    with pytest.raises(RegistryError, match="v0002 was to be rolled back, but the champion is v0003 now"):
        registry.rollback(DIRECTION, why="-", over="v0002")
    registry.rollback(DIRECTION, why="bridges", who="me", over="v0003")
    assert registry.history(DIRECTION)[-1]["details"] == {"why": "bridges", "who": "me", "from": "v0003"}


def test_a_refused_version_is_no_challenger_and_stays_checked(registry: Registry) -> None:
    registry.refuse(DIRECTION, "challenger", details={"why": "bridges", "who": "gate"})
    assert names(registry) == ("v0002", "v0001", None)
    row = registry.story(DIRECTION)[2]
    assert (row["name"], row["role"], row["why"], row["can_promote"]) == ("v0003", "", "bridges", True)
    assert [event["action"] for event in row["events"]] == ["register", "refuse"]
    manifest = registry.version(DIRECTION, "v0003").folder / "version.json"
    manifest.write_text(manifest.read_text().replace("sem2layout", "layout2sem"))
    with pytest.raises(RegistryError, match="was altered after it was registered"):
        registry.promote(DIRECTION, "v0003")


def test_a_change_does_not_take_over_an_altered_manifest(registry: Registry) -> None:
    """The hash of registration stays, also when later changes write the state anew."""
    manifest = registry.version(DIRECTION, "v0001").folder / "version.json"
    manifest.write_text(manifest.read_text().replace("sem2layout", "layout2sem"))
    registry.promote(DIRECTION)
    with pytest.raises(RegistryError, match="was altered after it was registered"):
        registry.verify(DIRECTION, "v0001")


def test_drafts_of_killed_processes_do_not_stay(registry: Registry) -> None:
    folder = registry.root / DIRECTION
    left = [folder / f".aliases.json.{number}.tmp" for number in ("4711", "4712-0")]
    for path in left:
        path.write_text("half")
    registry.promote(DIRECTION)
    assert not any(path.exists() for path in left)


HUMAN: dict[str, Callable[[Registry], object]] = {
    "retire": lambda registry: registry.retire(DIRECTION, opens="B", why="new scanner"),
    "reference": lambda registry: registry.set_reference(DIRECTION, version="v0002", why="accepted"),
    "refuse": lambda registry: registry.refuse(DIRECTION, "v0003", details={"why": "bridges"}),
}


@pytest.mark.parametrize("how", ["before", "half", "after"])
@pytest.mark.parametrize("action", HUMAN)
def test_a_fault_in_a_decision_leaves_it_made_or_not_made(
    prepared: Path, tmp_path: Path, action: str, how: str
) -> None:
    for n in range(1, 100):
        copy = tmp_path / f"{n}"
        shutil.copytree(prepared / "registry", copy)
        try:
            HUMAN[action](Registry(copy, disk=kills.FailingDisk(n, how)))
        except DiskError:
            pass
        else:
            break
        after = Registry(copy)
        events = [event["action"] for event in after.history(DIRECTION)]
        assert len(events) == after.aliases(DIRECTION).event
        assert after.verify(DIRECTION, "champion").name == "v0002"
        if events[-1] != action:  # it was not made: it must be possible now
            HUMAN[action](after)
        assert [event["action"] for event in after.history(DIRECTION)][5:] == [action]
    assert n > 6  # write, fsync of the history; write, fsync, rename, fsync of the state


def test_a_missing_weight_file_is_not_served(registry: Registry) -> None:
    folder = registry.champion(DIRECTION)
    (folder / "weights.safetensors").unlink()
    with pytest.raises(RegistryError, match="roll back to another version"):
        load_predictor(folder)


def test_the_history_is_a_chain_that_cannot_be_rewritten(registry: Registry) -> None:
    path = registry.root / DIRECTION / "history.jsonl"
    lines = path.read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == [1, 2, 3, 4, 5]
    changed = {**json.loads(lines[1]), "version": "v0002"}
    for damaged in (
        [lines[0], *lines[2:]],  # a line taken out
        [lines[0], json.dumps(changed), *lines[2:]],  # altered, hash left as it was
    ):
        path.write_text("\n".join(damaged) + "\n")
        with pytest.raises(RegistryError, match="lacks a change that took effect, or it was altered"):
            registry.history(DIRECTION)
    path.write_text("\n".join(lines) + '\n{"event": 6, "cut')  # an attempt that was cut off
    assert len(registry.history(DIRECTION)) == 5
    registry.promote(DIRECTION)
    assert [r["action"] for r in registry.history(DIRECTION)][-1] == "promote"
    assert path.read_text().startswith("\n".join(lines))  # nothing before was touched


def test_a_damaged_alias_file_is_named_and_never_guessed(registry: Registry) -> None:
    (registry.root / DIRECTION / "aliases.json").write_text("{")
    with pytest.raises(DiskError, match=r"aliases\.json cannot be read .* restore it from a backup"):
        registry.champion(DIRECTION)


@pytest.mark.parametrize(
    ("operation", "how"),
    [
        ("register", "half"),
        *((o, how) for o in ("promote", "rollback") for how in ("before", "half", "after")),
    ],
)
def test_a_fault_at_any_step_leaves_one_valid_champion(
    prepared: Path, tmp_path: Path, operation: str, how: str
) -> None:
    for part in ("registry", "run0"):
        shutil.copytree(prepared / part, tmp_path / part)
    faults = kills.inject(tmp_path, operation, how)
    assert [f.problem for f in faults] == [""] * len(faults)
    assert [f.step for f in faults] == list(range(1, len(faults) + 1))
    assert len(faults) >= 6  # write, fsync of the history; write, fsync, rename, fsync of the aliases
    assert not any(f.acknowledged for f in faults)


@pytest.mark.skipif(not hasattr(kills.os, "fork"), reason="this system cannot fork")
def test_killed_promotions_lose_nothing(prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared / "registry", tmp_path / "registry")
    acknowledged = 0
    for _ in range(5):  # where the disk is slow, twelve kills may all come before the first change
        found = kills.in_a_process("promotions", tmp_path, 12)
        assert (found.kills, found.lost, found.unreadable, found.without_champion) == (12, 0, 0, 0)
        acknowledged += found.acknowledged
        if acknowledged:
            break
    assert acknowledged > 0


def test_the_shim_really_fails(tmp_path: Path) -> None:
    for how, left in (("before", None), ("half", b"12"), ("after", b"1234")):
        disk, path = kills.FailingDisk(1, how), tmp_path / how
        with pytest.raises(DiskError, match="No space left on device"):
            disk.fill(path, b"1234")
        assert (path.read_bytes() or None) == left
    disk = kills.FailingDisk(99)
    disk.put(tmp_path / "file", b"1")
    assert disk.count == 4  # write, fsync, rename, fsync of the folder


def test_an_interrupted_put_leaves_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    Disk().put(path, as_json({"a": 1}))
    for n in (1, 2, 3):
        with pytest.raises(DiskError):
            kills.FailingDisk(n).put(path, as_json({"a": 2}))
        assert read_json(path) == {"a": 1}
        assert [p.name for p in tmp_path.iterdir()] == ["state.json"]


def test_a_draft_of_a_killed_registration_is_cleared(prepared: Path, registry: Registry) -> None:
    draft = registry.root / DIRECTION / "versions" / ".v0004.draft"
    draft.mkdir()
    (draft / "last.pt").write_bytes(b"half")
    assert registry.versions(DIRECTION) == ["v0001", "v0002", "v0003"]
    version = registry.register(prepared / "run0", parent="v0002", metrics={"iou_old": 0.8}, note="again")
    assert (version.name, version.about["parent"], version.about["metrics"]) == (
        "v0004",
        "v0002",
        {"iou_old": 0.8},
    )
    assert not draft.exists()
    assert names(registry) == ("v0002", "v0001", "v0004")


def test_settings_of_another_kind_are_refused(prepared: Path, tmp_path: Path) -> None:
    contents = load_checkpoint(prepared / "run0")
    contents["settings"] = {**contents["settings"], "extra": {}}
    torch.save(contents, tmp_path / "other.pt")
    with pytest.raises(RegistryError, match="holds no translator with a recipe"):
        Registry(tmp_path / "registry").register(tmp_path / "other.pt")
