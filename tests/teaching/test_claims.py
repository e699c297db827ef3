"""Claims: verdicts come from rules older than their data, and meaningless labels decide nothing."""

import dataclasses
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat
import numpy as np
import pytest
from scipy import stats

from gantrans.teaching import claims
from gantrans.teaching.claims import ledger, registry, verdicts
from gantrans.teaching.claims.provenance import DIRTY, current_commit
from gantrans.teaching.claims.registry import ClaimError, Part
from gantrans.teaching.runs import from_scratch, train_or_load
from gantrans.teaching.sweeps import registry as experiments
from gantrans.teaching.sweeps.measure import rerun

IDS = [f"D{i:02d}" for i in range(1, 10)] + [f"G{i:02d}" for i in range(1, 42)]
LATER = datetime.now(UTC) + timedelta(days=1)
MISMATCH = Path(__file__).parents[1] / "fixtures" / "claim_mismatch.ipynb"
MADE = {"code": "0" * 12, "commit": current_commit().removesuffix(DIRTY) or "0" * 40, "device": "CPU"}
SEEDS = tuple(range(6))
SKIPS = {"skips": [0.81, 0.83, 0.80, 0.82, 0.81, 0.84], "no skips": [0.64, 0.60, 0.66, 0.63, 0.62, 0.65]}
EDGES = {"skips": [0.66, 0.60, 0.64, 0.62, 0.65, 0.61], "no skips": [1.38, 1.30, 1.41, 1.35, 1.33, 1.36]}


@pytest.fixture
def run(tmp_path):
    return tmp_path / "run.jsonl"


def test_all_ids_are_registered_with_a_rule_that_was_written_down():
    found = list(claims.registered())
    assert found == sorted(found)
    assert set(IDS) <= set(found)
    assert all(re.fullmatch(r"[DG]\d\d", name) for name in set(found) - set(IDS))
    for claim in claims.registered().values():
        assert claim.written() <= datetime.now(UTC), claim.id
        assert "smoke" not in claim.scales
        assert claim.judged.endswith(".")
        assert claim.said or claim.id == "D02"


def test_intervals_agree_with_scipy():
    d = np.random.default_rng(0).normal(0.3, 1, 7)
    low, high = stats.t.interval(0.99, 6, d.mean(), stats.sem(d))
    assert claims.paired_effect(d, np.zeros(7)) == pytest.approx((d.mean(), low, high))
    assert claims.paired_effect(np.exp(d), np.ones(7), compare="ratio") == pytest.approx(
        np.exp([d.mean(), low, high])
    )
    exact = stats.binomtest(27, 100).proportion_ci(0.99, "exact")
    assert verdicts.proportion_interval(27, 100) == pytest.approx((0.27, exact.low, exact.high))
    assert verdicts.proportion_interval(0, 50)[1] == 0.0
    assert verdicts.proportion_interval(50, 50)[2] == 1.0


def test_t_interval_keeps_its_level_where_the_percentile_bootstrap_does_not():
    rng = np.random.default_rng(1)
    null = rng.normal(size=(20_000, 6))
    _, low, high = verdicts.t_interval(null, 0.99)
    assert np.mean((low > 0) | (high < 0)) == pytest.approx(0.01, abs=0.003)
    picks = rng.integers(0, 6, size=(1000, 6))
    means = null[:1000][:, picks].mean(-1)  # (experiments, resamples)
    b_low, b_high = np.quantile(means, [0.005, 0.995], axis=1)
    assert np.mean((b_low > 0) | (b_high < 0)) > 0.04


def test_a_rule_may_not_count_no_effect_as_an_effect():
    with pytest.raises(ClaimError, match="no effect"):
        Part("all", "IoU", "paired", (-0.01, 0.01), arms=("a", "b"))
    with pytest.raises(ClaimError, match="two arms"):
        Part("all", "IoU", "paired", (0.01, 1.0))


def test_record_computes_the_verdict_and_refuses_another(run):
    for value, verdict in ((1.0, "excluded"), (4.5e-5, "holds")):
        entry = claims.record("G05", measured=value, scale="reduced", started=LATER, run=run)
        assert entry["verdict"] == verdict
    with pytest.raises(ClaimError, match="its rule gives 'excluded'"):
        claims.record("G05", measured=1.0, scale="reduced", verdict="holds", started=LATER, run=run)
    assert claims.record("G05", measured=1.0, scale="smoke", started=LATER, run=run)["verdict"] == "open"
    assert len(run.read_text().splitlines()) == 3
    assert claims.read(run)["G05"]["scale"] == "smoke"


def test_a_rule_decides_only_at_the_scales_it_names():
    claim = claims.get("G05")
    finding = {"all": verdicts.judge_part(claim.parts[0], 1.0)}
    late = dataclasses.replace(claim, scales=("full",))
    assert verdicts.judge(late, finding, "reduced") == "open"
    assert verdicts.judge(late, finding, "full") == "excluded"
    with pytest.raises(ClaimError, match="only reduced and full"):
        dataclasses.replace(claim, scales=("smoke", "full"))


def test_record_takes_parts_seeds_and_checked_statements(run):
    entry = claims.record(
        "G02", {"IoU": SKIPS, "EPE": EDGES}, scale="reduced", seeds=SEEDS, started=LATER, run=run
    )
    assert {part["verdict"] for part in entry["parts"].values()} == {"holds"}
    assert entry["verdict"] == "open"  # the rule asks for other seeds
    assert entry["parts"]["IoU"]["measured"] == pytest.approx(0.185, abs=1e-3)
    half = claims.record("G02", {"IoU": SKIPS}, scale="reduced", seeds=SEEDS, started=LATER, run=run)
    assert half["verdict"] == "open"
    d = {"linear decay": [1.0] * 6, "constant": [1.1, 0.9, 1.0, 1.2, 0.8, 1.0]}
    measured, low, high = claims.paired_effect(*d.values(), compare="ratio")
    claims.record(
        "G09", d, scale="full", seeds=SEEDS, measured=measured, interval=(low, high), started=LATER, run=run
    )
    with pytest.raises(ClaimError, match="its data give"):
        claims.record("G09", d, scale="full", seeds=SEEDS, measured=1.3, started=LATER, run=run)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": "reduced", "seeds": SEEDS[:5]}, "6 values for 5 seeds"),
        ({"scale": "reduced", "seeds": (0, 0, 1, 2, 3, 4)}, "occurs twice"),
        ({"scale": "big", "seeds": SEEDS}, "choose one of"),
        ({"scale": "full", "seeds": SEEDS, "started": "2026-01-01T00:00:00"}, "no time zone"),
        ({"scale": "full", "seeds": SEEDS, "started": "2001-01-01T00:00:00+00:00"}, "produce the data anew"),
    ],
)
def test_unsound_records_are_refused(options, message, run):
    with pytest.raises(ClaimError, match=message):
        claims.record("G02", {"IoU": SKIPS, "EPE": EDGES}, **{"started": LATER, "run": run, **options})
    assert not run.exists()


@pytest.mark.parametrize(
    ("claim_id", "data", "message"),
    [
        ("G99", 1.0, "not registered"),
        ("G05", None, "computed, never stated"),
        ("G05", float("nan"), "finite"),
        ("G02", SKIPS, "needs data by part"),
        ("G09", {"yes": [1.0], "no": [1.0]}, "compares the arms"),
        ("G09", {"linear decay": [1.0, 2.0], "constant": [1.0]}, "the same seeds"),
        ("G09", {"linear decay": [1.0, -2.0], "constant": [1.0, 1.0]}, "not positive"),
        ("G28", [3, 2], "successes, trials"),
    ],
)
def test_unsound_data_are_refused(claim_id, data, message, run):
    with pytest.raises(ClaimError, match=message):
        claims.record(claim_id, data, scale="full", started=LATER, run=run)


def test_a_changed_rule_must_be_written_down_before_new_data(tmp_path, run):
    (tmp_path / "lesson06").mkdir()
    lesson = registry.get("G05").folder
    rules = (lesson / registry.RULES).read_text("utf-8")
    (tmp_path / "lesson06" / registry.RULES).write_text(rules.replace("[0.0, 0.01]", "[0.0, 0.02]", 1))
    changed = registry.registered(tmp_path)
    lock = tmp_path / "lock.json"
    lock.write_text((lesson / registry.LOCK).read_text())
    with pytest.raises(ClaimError, match="not the one written down"):
        changed["G05"].written(lock)
    assert claims.stamp(lock, changed) == ["G05"]
    assert changed["G05"].written(lock) > changed["G06"].written(lock)
    assert claims.stamp(lock, changed) == []


def test_a_rule_may_judge_older_data_and_the_record_says_so(run):
    old = {"started": "2001-01-01T00:00:00+00:00", "run": run}
    entry = claims.record("G05", measured=1.0, scale="full", rejudge=True, **old)
    assert (entry["verdict"], entry["rule_age"]) == ("excluded", registry.YOUNGER)
    claims.check({"G05": entry})
    with pytest.raises(ClaimError, match="under another rule"):
        claims.check({"G05": {**entry, "rule_age": registry.OLDER}})


def test_a_sentence_keeps_its_date_when_the_rest_of_its_rule_is_added(tmp_path):
    lock, claim = tmp_path / "lock.json", claims.get("G05")
    claims.stamp(lock, {"G05": claim})
    dates = json.loads(lock.read_text())
    dates["G05"] |= {"written": "2020-01-01T00:00:00+00:00", "sentence_written": "2020-01-01T00:00:00+00:00"}
    lock.write_text(json.dumps(dates))
    more = dataclasses.replace(claim, seeds={"reduced": "0-5"})
    assert claims.stamp(lock, {"G05": more}) == ["G05"]
    then = datetime(2020, 6, 1, tzinfo=UTC)
    assert more.age(then, lock) == registry.COMPLETED
    assert more.age(datetime.now(UTC) + timedelta(1), lock) == registry.OLDER
    assert more.age(datetime(2019, 1, 1, tzinfo=UTC), lock) == registry.YOUNGER
    other = dataclasses.replace(more, judged="Another sentence.")
    claims.stamp(lock, {"G05": other})
    assert other.age(then, lock) == registry.YOUNGER


def test_merge_keeps_the_larger_scale_and_computes_again(tmp_path, run):
    committed = tmp_path / "claims.json"
    claims.record("G05", measured=1.0, scale="full", started=LATER, made=MADE, run=run)
    assert claims.merge(run, committed) == ["G05"]
    claims.record("G05", measured=1.0, scale="reduced", started=LATER, made=MADE, run=run)
    claims.record("G03", {"no norm": 70, "instance norm": 256}, scale="smoke", started=LATER, run=run)
    assert claims.merge(run, committed) == []
    kept = claims.read(committed)
    assert list(kept) == ["G05"]
    assert kept["G05"]["scale"] == "full"
    kept["G05"]["verdict"] = "holds"
    with pytest.raises(ClaimError, match="its data give 'excluded'"):
        claims.check(kept)


def test_the_committed_ledger_is_what_its_data_give():
    claims.check(claims.read(claims.COMMITTED))


def test_a_record_of_uncommitted_code_is_not_merged(tmp_path, run):
    dirty = {**MADE, "commit": MADE["commit"] + DIRTY}
    claims.record("G05", measured=1.0, scale="full", started=LATER, made=dirty, run=run)
    with pytest.raises(ClaimError, match="G05 was measured with uncommitted code; commit the code"):
        claims.merge(run, tmp_path / "claims.json")
    assert not (tmp_path / "claims.json").exists()


def test_a_torn_line_is_named(run):
    claims.record("G05", measured=1.0, scale="full", started=LATER, run=run)
    run.write_text(run.read_text() + '{"id": "G0')
    with pytest.raises(ClaimError, match="line 2 is not a record"):
        claims.read(run)


def test_table_lists_every_claim(run):
    claims.record(
        "G02", {"IoU": SKIPS, "EPE": EDGES}, scale="full", seeds=SEEDS, started=LATER, notebook="04", run=run
    )
    rows = {r.id: r for r in claims.ledger_table(claims.read(run))}
    assert list(rows) == list(claims.registered())
    assert rows["G01"].verdict == "untested"
    assert rows["G02"].measured == "IoU: 0.185; EPE: -0.725 px"
    assert (rows["G02"].seeds, rows["G02"].scale, rows["G02"].notebook) == ("6", "full", "04")


@pytest.fixture
def quoted(run):
    claims.record("G02", {"IoU": SKIPS, "EPE": EDGES}, scale="full", seeds=SEEDS, started=LATER,
                  numbers={"grey share": 0.0512}, run=run)  # fmt: skip
    claims.record("G05", measured=-4.5e-5 + 1, scale="full", started=LATER, run=run)
    return claims.read(run)


@pytest.mark.parametrize(
    "text",
    [
        "IoU .82<!-- claim G02 IoU/skips --> against .633<!-- claim G02 IoU/no skips --> without.",
        "over 6<!-- claim G02 seeds --> seeds.",
        "It falls by \u22120.72 px<!-- claim G02 EPE/measured -->, 5.1 %<!-- claim G02 grey share --> grey.",
        "So it **holds**<!-- claim G02 IoU/verdict -->, and G05 is excluded<!-- claim G05 verdict -->.",
        "G05 is larger than stated<!-- claim G05 side -->.",
        "The gradient is 1.000<!-- claim G05 measured -->.",
    ],
)
def test_prose_that_agrees_passes(text, quoted):
    assert claims.check_text(text, quoted) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("IoU .83<!-- claim G02 IoU/skips -->", "the text says .83, the ledger 0.818333"),
        ("IoU .8<!-- claim G02 IoU/no skips -->", "the ledger 0.633333"),
        ("grey .0512 %<!-- claim G02 grey share -->", "the ledger 5.12"),
        ("it does<!-- claim G02 seeds -->", "no number stands before"),
        ("it is open<!-- claim G05 verdict -->", "verdict: the text says 'open', the ledger 'excluded'"),
        ("it reopen<!-- claim G02 verdict -->", "the text says 'it reopen'"),
        ("the other way round<!-- claim G05 side -->", "the ledger 'larger than stated'"),
        ("1.0<!-- claim G05 loss -->", "has no field 'loss'"),
        ("1.0<!-- claim G06 measured -->", "no record"),
    ],
)
def test_prose_that_disagrees_is_named(text, problem, quoted):
    assert problem in " ".join(claims.check_text(text, quoted))


def test_the_fixture_notebook_is_rejected(quoted):
    problems = claims.check_prose(MISMATCH, quoted)
    assert len(problems) == 1
    assert "claim_mismatch.ipynb, cell result: G05 measured: the text says 0.50" in problems[0]


def test_every_lesson_agrees_with_the_committed_ledger():
    committed = claims.read(claims.COMMITTED)
    for path in sorted((ledger.ROOT / "notebooks").rglob("*.ipynb")):
        assert claims.check_prose(path, committed) == []


def test_rerun_starts_from_scratch_and_records(run, tmp_path, capsys, monkeypatch):
    def fresh(folder: Path) -> float:
        return json.loads((folder / "value.json").read_text())

    def train(folder: Path) -> None:
        (folder / "value.json").write_text("1.0")

    others = {claim: function for claim, function in experiments.experiments().items() if claim != "G05"}
    monkeypatch.setattr(experiments, "_EXPERIMENTS", others)
    train_or_load({"lr": 1}, train, fresh, name="g05", root=tmp_path)

    @experiments.experiment("G05")
    def gradient(scale: str):
        return {"measured": train_or_load({"lr": 1}, train, fresh, name="g05")}

    with pytest.raises(ClaimError, match="No experiment is registered"):
        rerun("G99", "reduced", run=run)
    entry = rerun("G05", "reduced", run=run)
    assert entry["verdict"] == "excluded"
    assert entry["command"] == "python -m gantrans ablate G05 --scale reduced"
    assert "trained run" in capsys.readouterr().out.splitlines()[-1]
    with pytest.raises(ClaimError, match="two experiments"):
        experiments.experiment("G05")(lambda scale: {"measured": 0.0})
    with pytest.raises(ClaimError, match=r"two experiments: .*gradient and the sweep toy"):
        experiments.decide_by_sweep("G05", "toy")
    with from_scratch() as folder:
        assert folder.exists()
    assert not folder.exists()


def test_fixture_is_a_valid_notebook():
    nbformat.validate(nbformat.read(MISMATCH, 4))
