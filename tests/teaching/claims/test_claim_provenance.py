"""A measurement names the clean commit that made it; what did not is listed, and the list cannot grow."""

import json
import subprocess

import pytest

from gantrans.teaching import claims
from gantrans.teaching.claims import provenance
from gantrans.teaching.claims.registry import ClaimError
from gantrans.teaching.places import found

NEW = "2026-11-30T12:00:00+00:00"
MARKED = {
    *("attention_cost", "attention_range", "attention_training", "checkerboard", "denoisers", "drift"),
    *("drift_quality", "embeddings", "embeddings_beside", "failures", "fine_tuning", "gaming", "generation"),
    *("hallucination", "loss_weights", "matching", "matching_larger", "modes", "pairs_cycle", "quarter"),
    *("schedules", "stabilization"),
}
OLD = "2026-11-26T02:43:00+00:00"


def git(root, *arguments):
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    done = subprocess.run(
        ["git", "-C", str(root), *who, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    for text in ("x = 1", "x = 2"):
        (root / "code.py").write_text(text)
        git(root, "add", ".")
        git(root, "commit", "-q", "-m", text)
    provenance.current_commit.cache_clear()
    yield root
    provenance.current_commit.cache_clear()


def about(commit, **more):
    return {"commit": commit, "device": "CPU", **more}


def test_the_commit_that_measured_is_kept_and_uncommitted_code_marked(repository):
    head = git(repository, "rev-parse", "HEAD")
    (repository / "table.json").write_text("{}")
    assert provenance.current_commit(repository) == head
    provenance.current_commit.cache_clear()
    (repository / "sub").mkdir()
    (repository / "sub" / "new.py").write_text("y = 1")
    assert provenance.current_commit(repository) == f"{head}-dirty"
    provenance.check("t", about(head), NEW, repository)
    with pytest.raises(ClaimError, match="t was measured with uncommitted code; commit the code"):
        provenance.check("t", about(f"{head}-dirty"), NEW, repository)
    assert provenance.current_commit(repository.parent) == ""


def test_a_commit_that_is_not_in_the_history_is_refused(repository):
    first = git(repository, "rev-parse", "HEAD~1")
    provenance.check("t", about(first), NEW, repository)
    with pytest.raises(ClaimError, match=r"commit 0{40}, which is not in this history; measure it again"):
        provenance.check("t", about("0" * 40), NEW, repository)
    git(repository, "checkout", "-q", "--orphan", "other")
    git(repository, "commit", "-q", "-m", "other")
    with pytest.raises(ClaimError, match="not in this history"):  # it exists, and led to nothing here
        provenance.check("t", about(first), NEW, repository)


def test_without_history_commits_are_not_looked_up_and_a_sentence_says_so(repository, tmp_path):
    assert provenance.no_history(repository) == ""
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", str(shallow))
    assert provenance.no_history(shallow).startswith("This clone is shallow")
    assert provenance.no_history(tmp_path).startswith("There is no git history here")
    for root in (shallow, tmp_path):
        provenance.check("t", about("0" * 40), NEW, root)
        with pytest.raises(ClaimError, match="no commit"):
            provenance.check("t", about(""), NEW, root)


@pytest.mark.parametrize(
    ("fields", "date", "message"),
    [
        ({"commit": "a" * 40}, NEW, "names no device"),
        ({"device": "CPU"}, NEW, "with no commit"),
        ({"provenance": "unknown"}, NEW, "only measurements before 2026-11-30 may be"),
        ({"provenance": "lost"}, OLD, "provenance 'lost'"),
        ({"provenance": "unknown", "commit": "a"}, OLD, "remove one"),
        (about("a" * 40), "2026-11-30", "to the second"),
        (about("a" * 40), "2026-11-30T12:00:00", "time zone"),
        (about("a" * 40), "yesterday", "to the second"),
    ],
)
def test_incomplete_sources_are_refused(fields, date, message, tmp_path):
    with pytest.raises(ClaimError, match=message):
        provenance.check("t", fields, date, tmp_path)


def test_the_mark_of_old_measurements_is_accepted_for_them(tmp_path):
    provenance.check("t", {"provenance": "unknown"}, OLD, tmp_path)


def committed_tables() -> dict[str, dict]:
    """What each committed table says about itself."""
    return {path.stem: json.loads(path.read_text("utf-8"))["about"] for path in found("results/*.json")}


def test_every_committed_record_and_table_says_where_it_comes_from():
    for claim_id, entry in claims.read(claims.COMMITTED).items():
        provenance.check(f"The record of claim {claim_id}", entry, entry["started"])
    for name, about in committed_tables().items():
        provenance.check(f"The table {name}", about, about["date"])
    if skipped := provenance.no_history():
        pytest.skip(skipped)


def test_a_record_of_a_table_has_its_commit_configuration_and_device():
    tables = committed_tables()
    compared = 0
    for claim_id, entry in claims.read(claims.COMMITTED).items():
        words = entry["command"].replace(".", " ").split()
        for name in set(words) & set(tables):
            table = tables[name]
            compared += 1
            for key in ("code", "commit", "device", "config", "provenance"):
                assert entry.get(key) == table.get(key), (claim_id, name, key)
            assert entry["started"] == table["date"], (claim_id, name)
    assert compared >= 20


def test_no_new_measurement_joins_those_of_unknown_provenance():
    """The list as it was when commits began to be kept; a measurement leaves it when it is repeated."""
    records = {i for i, e in claims.read(claims.COMMITTED).items() if e.get("provenance")}
    assert records <= {*(f"D{i:02d}" for i in range(1, 10)), *(f"G{i:02d}" for i in range(1, 41))} - {"G20"}
    assert {name for name, about in committed_tables().items() if about.get("provenance")} <= MARKED
