"""Lesson 11: its figures over their grids, the rule counted per window, and the experiments on drift."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats

from gantrans.operations.drift.features import FEATURES
from gantrans.operations.drift.profile import Measured
from gantrans.teaching import claims
from gantrans.teaching.explorers import Choice, Explorer, Slider
from gantrans.teaching.plots import alt_text
from gantrans.teaching.plots.style import figure_of
from gantrans.teaching.sweeps.registry import experiments
from gantrans.teaching.sweeps.tables import Table, committed
from lessons.lesson11.experiments import drift, drift_quality
from lessons.lesson11.experiments.drift_quality import Course
from lessons.lesson11.figures import detection, monitoring


@pytest.fixture(scope="module")
def line():
    return drift.line("smoke", 0)


@pytest.fixture(scope="module")
def row():
    return drift.run_seed(0, "smoke")


@pytest.fixture(scope="module")
def table(row):
    return Table({"scale": "smoke"}, {0: row, 1: row})


def in_deviations(line, z):
    """Images whose features lie z (n, 10) deviations from the profile's means; histograms as usual."""
    profile = line.fitted.profile
    return Measured(profile.mean + z * profile.std, profile.histogram.expand(len(z), -1))


def test_the_player_draws_every_state_of_its_grid(line):
    controls = (
        Choice("name", "drift", ("none", "noise", "rotation"), "noise"),
        Slider("ramp", "images to full size", 0, 1000, 250, 500),
        Slider("seen", "seen", 5, 100, 5, 100),
    )
    draw = partial(monitoring.player_figure, images=400, scale="smoke", seed=0)
    explorer = Explorer(draw, controls, "player")
    for state in explorer.grid():
        assert explorer.problems(state) == []
    words = alt_text(explorer.figure({"name": "rotation", "ramp": 0, "seen": 100}))
    assert "first alarm at image" in words
    assert "insufficient data" in alt_text(explorer.figure({"name": "none", "ramp": 0, "seen": 5}))


def test_a_trace_ends_where_the_detector_does(line):
    measured = drift.watched("rotation", "smoke", 0)
    seen = monitoring.trace(line, measured)
    report = line.fresh().update(measured)
    assert seen.alarms == report.alarms
    assert seen.windows[0] == [200, 400, 600]
    assert seen.windows[1][-1] == pytest.approx(report.score / report.threshold)
    assert len(seen.chart[1]) == 12


def test_the_rule_alarms_after_two_windows_with_more_flags_than_any_chunk(line):
    z = torch.zeros(1000, len(FEATURES), dtype=torch.float64)
    z[:, 0] = 1.0
    assert drift.rule_alarm(line, in_deviations(line, z)) is None
    z[200 : 200 + line.most_flags + 1, 0] = 3.5
    assert drift.rule_alarm(line, in_deviations(line, z)) is None  # one window alone
    z[400 : 400 + line.most_flags + 1, 1] = -3.5
    assert drift.rule_alarm(line, in_deviations(line, z)) == 600
    z[400, 1] = 0.0  # as many as the worst chunk, and no more
    assert drift.rule_alarm(line, in_deviations(line, z)) is None
    z[:, 3:] = 50.0  # other features are not the rule's business
    assert drift.rule_alarm(line, in_deviations(line, z)) is None


def test_every_level_watches_every_stream(row):
    assert list(row) == [f"{name}, 1" for name in drift.STREAMS]
    for numbers in row.values():
        assert all(np.isfinite(v) for v in numbers.values())
        assert numbers["both image"] == min(numbers["windows image"], numbers["chart image"])
    assert row["rotation, 1"]["both alarm"] == 1
    assert row["rotation, 1"]["rule alarm"] == 0
    assert row["in control, 1"]["both alarm"] == 0
    assert row["in control, 1"]["both image"] == 600


def test_the_claims_get_what_their_rules_ask_for(table, tmp_path):
    judged = drift.judged(table)
    assert set(judged["data"]) == {part.name for part in claims.get("G22").parts}
    assert judged["data"]["rotation"] == [0, 0]
    assert judged["numbers"]["streams"] == 2
    assert judged["numbers"]["both: rotation"] == 1.0
    record = claims.record("G22", **judged, scale="smoke", seeds=(0, 1), run=tmp_path / "run.jsonl")
    assert record["verdict"] == "open"
    named = {part.name for part in claims.get("G36").parts}
    assert set(drift_quality.PARTS) - {drift_quality.NEVER_LOST} == named
    assert {"G22", "G36"} <= {i for s in (drift.SWEEP, drift_quality.SWEEP) for i in s.claims}


def test_the_claims_can_be_rerun():
    assert {"G22", "G36"} <= set(experiments())


def test_labels_find_a_loss_on_the_second_bad_day():
    generator = torch.Generator().manual_seed(0)
    usual = 0.9 + 0.1 * torch.randn(400, generator=generator)
    good, bad = (usual[:40] + shift for shift in (0.0, -0.1))
    assert drift_quality.found_day([good, bad, good, bad, bad, bad], usual) == 5
    assert drift_quality.found_day([bad, bad], usual) == 2
    assert drift_quality.found_day([good] * 6, usual) is None


def test_quality_is_lost_from_the_first_of_two_costly_days():
    assert drift_quality.lost_day([0.0, 0.06, 0.04, 0.05, 0.07, 0.0]) == 4
    assert drift_quality.lost_day([0.049] * 6) is None
    assert drift_quality.lost_day([0.0, 0.0, 0.9]) is None  # a last day alone says nothing of the next


def test_what_did_not_happen_counts_on_the_day_after_the_last():
    both, silent, harmless = (
        drift_quality.score(Course([0.9] * 4, [0.01] * 4, [0.0] * 4, lost, found, alarm), 0.9)
        for lost, found, alarm in ((4, None, 2), (3, 4, None), (None, None, 1))
    )
    assert (both["lead"], silent["lead"], harmless["lead"]) == (2, -2, 4)
    assert (both["before it is found"], silent["before it is found"]) == (3, -1)
    assert (silent["alarmed"], harmless["lost"]) == (0, 0)


@pytest.fixture
def followed(tmp_path, monkeypatch):
    monkeypatch.setenv("GANTRANS_CACHE", str(tmp_path))
    return monitoring.follow_all("smoke", 0)


def test_quality_and_monitors_follow_the_same_stream(followed, tmp_path):
    courses, usual = followed
    assert list(courses) == list(drift_quality.PARTS)
    assert all(len(course.iou) == 3 for course in courses.values())
    assert courses["SEM-layout relation"].alarm is None
    assert all(len(course.cost) == 3 for course in courses.values())
    assert courses["intensity"].cost[0] == pytest.approx(0.0, abs=0.2)
    words = alt_text(monitoring.quality_figure(courses, usual))
    assert "SEM-layout relation: IoU from" in words
    rows = {part: drift_quality.score(course, usual) for part, course in courses.items()}
    judged = drift_quality.judged(Table({}, {0: rows, 1: rows}))
    assert set(judged["data"]) == {part.name for part in claims.get("G36").parts}
    assert judged["numbers"]["intensity: lead"] == rows["intensity"]["lead"]
    assert judged["data"]["pitch"] == [rows["pitch"]["lead"]] * 2
    record = claims.record("G36", **judged, scale="smoke", seeds=(0, 1), run=tmp_path / "run.jsonl")
    assert record["verdict"] == "open"
    assert "over 2 seeds" in alt_text(figure_of(monitoring.lead_figure(record)))


def test_the_loss_over_all_lines_comes_before_labels_of_one_line_find_it():
    rows = {row[0]: row[1:] for row in monitoring.pooled_table(committed("drift_quality")).rows}
    assert all(float(rows[part][2]) < float(rows[part][1]) for part in ("noise", "blur", "pitch"))
    assert float(rows["SEM-layout relation"][0]) > 20.0  # of 21: a false alarm on one line
    assert rows["intensity"][1:3] == ["never", "never"]


def test_the_textbooks_threshold_is_smirnovs():
    for tests in (1, 10):  # ten: Bonferroni's share of the level
        exact = stats.kstwobign.isf(0.01 / tests) * np.sqrt(1 / 200 + 1 / 8000)
        assert detection.textbook_threshold(200, 8000, tests) == pytest.approx(exact, rel=1e-3)


def test_tables_say_what_was_measured(line):
    rule = detection.rule_table(line, line.reference)
    flagged = float(line.fitted.profile.judge(line.reference).flagged.double().mean())
    assert rule.rows[-1] == ["any of these", f"{1e4 * flagged:.0f}"]
    kl = detection.kl_table(line)
    assert [r[0] for r in kl.rows].count("image to reference") == 3
    assert float(kl.rows[3][2]) > float(kl.rows[5][2])  # less smoothing, larger divergence
    alarms = detection.alarm_table(line, {"rotation": drift.watched("rotation", "smoke", 0)}, "chart")
    assert alarms.rows[0][0] == "rotation"
    assert alarms.rows[0][1].startswith("image ")
    lots = detection.lots_table({"independent": line})
    assert lots.rows[0][0] == "independent"
    assert lots.header[1:4] == ["one feature, 0.117", "any of ten, 0.117", "any of ten, Bonferroni's 0.14"]
    one, any_of_ten, shared = (float(cell.split()[0]) for cell in lots.rows[0][1:4])
    assert one <= any_of_ten
    assert shared <= any_of_ten
    assert shared <= 10


def test_a_pooled_profile_lets_a_line_image_go_further():
    lines = torch.randn(500, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    holes = lines.clone()
    holes[:, FEATURES.index("anisotropy")] -= 10
    rows = {r[0]: r[2] for r in detection.pooled_table(lines, holes).rows}
    up, down = (float(x) for x in rows["anisotropy"].replace("+", "").replace("-", "").split(" and "))
    assert up > 9
    assert down > 19
    assert rows["mean intensity"].startswith("+3")


def test_result_figures_have_words(line, row, table):
    streams = {name: drift.watched(name, "smoke", 0) for name in ("in control", "rotation")}
    figures = {
        "in control: 64 x 64 px": detection.gallery_figure(0, ("none", "bridges")),
        "rotation": detection.flags_figure(line, streams),
        "rotation: most anisotropy": detection.shift_figure(detection.shifts(line, streams)),
        "1.00. Median image of the first alarm: brightness ramp": detection.detection_figure(table),
        "rotation, beyond the limit: CUSUM first at": monitoring.charts_figure(line, streams),
        "reference to image: sum": detection.histograms_figure(line),
        "rotation: KS distance 1.00": detection.staircases_figure(line, streams, "anisotropy"),
    }
    for words, figure in figures.items():
        assert words in alt_text(figure_of(figure) if hasattr(figure, "get_figure") else figure)
    delays = detection.lots_delays(row, row)
    assert [r[0] for r in delays.rows] == list(drift.STREAMS)
    assert delays.rows[0][1] == "none"
    assert delays.rows[-1][2].startswith("image ")
