"""Lesson 13: the simulated quarter, its loop behind a server, the policies, figures and tables."""

from collections import Counter

import pytest
import torch

from gantrans.images import unit_from_uint8
from gantrans.operations.feedback.pictures import encode_png
from gantrans.operations.promotion.challenge_pairs import Windows
from gantrans.operations.promotion.gate import Check, Decision
from gantrans.teaching import claims
from gantrans.teaching.explorers import Explorer, Slider
from gantrans.teaching.plots import alt_text
from gantrans.teaching.sweeps.registry import experiments
from gantrans.teaching.sweeps.tables import Table, committed
from lessons.lesson13.experiments import bench, person, quarter
from lessons.lesson13.experiments import loop as looping
from lessons.lesson13.experiments import quarter_setting as calendar
from lessons.lesson13.experiments.live_quarter import STRAY_DAYS, Served, png_16_bit
from lessons.lesson13.figures import dashboard
from lessons.shared.process_change import DIRECTION

SMOKE = calendar.SETTINGS["smoke"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A server with the champion of a smoke run, on loopback."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANTRANS_CACHE", str(tmp_path_factory.mktemp("runs")))
        patch.setenv("TQDM_DISABLE", "1")
        with Served("smoke", 0, tmp_path_factory.mktemp("site")) as served:
            yield served


@pytest.mark.parametrize(("kept", "changed"), [(("old", "dark"), "widened"), (("new", "new"), "redrawn")])
def test_the_second_change_is_in_the_drawings_alone(kept, changed):
    sets = {phase: calendar.phase_pairs(phase, "shown", 32, 0, 6) for phase in (*kept, changed)}
    before = sets[kept[1]]
    assert torch.equal(before.sem, sets[changed].sem)
    assert torch.equal(sets[kept[0]].layout, before.layout)
    drawn, other = (pairs.layout.float().mean() for pairs in (before, sets[changed]))
    assert 1.3 * drawn < other < 4 * drawn if changed == "widened" else 0.2 * drawn < other < 0.9 * drawn


def test_a_smaller_gain_keeps_what_the_images_hold():
    old, dark = (calendar.phase_pairs(phase, "shown", 32, 0, 6) for phase in ("old", "dark"))
    assert torch.equal(old.layout, dark.layout)
    assert (dark.sem.float() - calendar.GAIN * old.sem.float()).abs().max() <= 1.0


def test_every_day_has_images_of_its_own():
    days = [calendar.phase_of(day, SMOKE) for day in (0, 4, 5, 7, 8, 11)]
    assert days == ["old", "old", "dark", "dark", "widened", "widened"]
    assert calendar.phase_of(8, SMOKE, calendar.LOST) == "redrawn"
    monday, tuesday = (calendar.day_pairs(day, "smoke", 0) for day in (0, 1))
    assert not torch.equal(monday.layout, tuesday.layout)
    assert not set(monday.names) & set(tuesday.names)
    assert {calendar.day_of(name) for name in tuesday.names} == {1}


def test_labels_are_kept_whenever_they_come(site):
    image, label = (
        encode_png(unit_from_uint8(x[0])) for x in calendar.day_pairs(0, "smoke", 1).roles(DIRECTION)
    )
    assert site.send("once", image).headers["x-model-version"] == "v0001"
    assert site.send("once", image).status == 200
    assert site.send("once", label).status == 409
    answers = [site.send_label(p, n, label).json for p, n in (("late", "a"), ("once", "b"), ("once", "b"))]
    assert [(a["new"], a["prediction_known"]) for a in answers] == [
        (True, False),
        (True, True),
        (False, True),
    ]
    assert site.store.counts()["waiting_labels"] == 1
    assert site.send("late", image).status == 200
    assert site.store.counts()["waiting_labels"] == 0
    assert site.send("camera", png_16_bit(unit_from_uint8(image_of(2)), bits=12)).status == 422
    assert site.send("camera", png_16_bit(unit_from_uint8(image_of(2)), bits=12), bits=12).status == 200


def image_of(day: int) -> torch.Tensor:
    """An SEM image, uint8."""
    return calendar.day_pairs(day, "smoke", 1).sem[0]


def test_the_quarter_over_http_is_the_quarter(site, tmp_path):
    """The server changes nothing: outputs are those of the predictor, up to 8 bits."""
    story = quarter.run_quarter(site, quarter.ON_LABELS, "smoke", 0, tmp_path)
    for day in (0, 11):
        pairs = calendar.day_pairs(day, "smoke", 0)
        assert story.truth[day] == pytest.approx(
            float(calendar.ious(site.champion(), pairs).mean()), abs=0.02
        )
    labels = (SMOKE.days - SMOKE.delay) * SMOKE.labels
    assert len(site.labelled()) == labels
    assert sorted(site.labelled().names) == site.labelled().names
    assert sum(sum(day.values()) for day in site.statuses) == SMOKE.days * SMOKE.images
    assert not set(range(SMOKE.days)) & set(STRAY_DAYS)
    actions = [event["action"] for event in site.registry.history(DIRECTION)]
    assert actions[:6] == ["register", "promote", "register", "refuse", "promote", "rollback"]
    figure = dashboard.dashboard_figure(story, site.statuses, SMOKE, quarter.Story("x", [0.9] * SMOKE.days))
    assert f"{SMOKE.days * SMOKE.images} answered, 0 refused, 0 failed." in alt_text(figure)
    assert "(oracle 0.900)" in alt_text(figure)


def test_labels_after_a_rollback_go_to_the_version_that_predicted(site):
    site.translate(calendar.phase_pairs("old", "before", SMOKE.size, 0, 2))  # so that v0001 has predicted
    pairs = calendar.phase_pairs("widened", "after", SMOKE.size, 0, 12)
    old = calendar.phase_pairs("old", "some", SMOKE.size, 0, 24)
    windows = Windows(old.subset(range(8)), old.subset(range(8, 24)), None, None)
    champion = site.registry.aliases(DIRECTION).champion
    decision = site.challenge(windows, 99, looping.TUNING)
    assert decision.verdict == "keep the champion"
    assert site.registry.aliases(DIRECTION).champion == champion
    site.promote("test")
    wrong = site.registry.aliases(DIRECTION).champion
    site.translate(pairs)
    site.roll_back("test")
    before = {row["model"]: row for row in site.performance()}
    site.label(pairs)
    after = {row["model"]: row for row in site.performance()}
    assert after[champion] == before[champion]
    assert (after[wrong]["predictions"], after[wrong]["labelled"]) == (12, 12)
    assert [wrong, "12", "12", "100%"] in [row[:4] for row in dashboard.credit_table(site.performance()).rows]


def test_a_retirement_is_a_line_of_the_history_and_fits_the_input_monitor_anew(site):
    seen = site.watch.detectors[DIRECTION].seen
    assert seen > 0
    site.retire(9, 6, "36 labels lie below the reference")
    regime = site.registry.regime(DIRECTION)
    assert (regime.name, regime.since[:10], regime.why) == (
        "from day 6",
        "2026-01-07",
        "36 labels lie below the reference",
    )
    assert site.watch.detectors[DIRECTION].seen == 0


def test_a_promotion_and_a_rollback_change_what_serves(tmp_path, monkeypatch):
    monkeypatch.setenv("GANTRANS_CACHE", str(tmp_path / "runs"))
    place = bench.Bench("smoke", 0, tmp_path)
    monkeypatch.setattr(bench, "judge", lambda *_: Decision((Check("new bound", True, 0.1, 0.0, "yes"),)))
    run, pairs = place.run, calendar.phase_pairs("old", "some", SMOKE.size, 0, 16)
    today = calendar.day_pairs(0, "smoke", 0)
    first = place.translate(today)
    place.label(today)
    assert len(place.qualities()) == SMOKE.images == place.monitor.seen
    windows = Windows(pairs.subset(range(8)), pairs.subset(range(8, 16)), None, None)
    assert place.challenge(windows, 1, looping.TUNING).promoted
    assert place.run != run
    assert not torch.equal(place.translate(today), first)
    assert torch.allclose(place.scores_before(today), calendar.ious(calendar.Predictor.load(run), today))
    place.roll_back("test")
    assert torch.equal(place.translate(today), first)


def test_the_oracle_is_trained_when_a_phase_begins(tmp_path, monkeypatch):
    monkeypatch.setenv("GANTRANS_CACHE", str(tmp_path / "runs"))
    lowest = quarter.never("smoke", 0, calendar.KEPT).truth
    best = quarter.oracle("smoke", 0, calendar.KEPT, tmp_path).truth
    change = SMOKE.changes[0]
    assert best[:change] == lowest[:change]
    assert all(a != b for a, b in zip(best[change:], lowest[change:], strict=True))
    assert sorted(folder.name for folder in tmp_path.iterdir() if folder.name != "runs") == [
        "dark",
        "widened",
    ]


def test_depth_is_shown_and_refused():
    image = torch.full((1, 16, 16), 0.4)
    camera = png_16_bit(image, bits=12)
    assert float(dashboard.through_pillow(png_16_bit(image)).mean()) == 1.0
    assert "state which" in dashboard.refusal(camera)
    assert dashboard.refusal(camera, bits=12) == "accepted, mean 0.40"
    assert "mean 1.00" in alt_text(dashboard.depth_figure(image))


def test_the_explorer_of_delays_draws_every_state():
    controls = (
        Slider("labels", "labels a day", 2, 14, 4, 10),
        Slider("delay", "days", 0, 12, 6, 6),
        Slider("loss", "loss", 4, 16, 6, 10),
    )
    explorer = Explorer(dashboard.delay_figure, controls, "delays")
    for state in explorer.grid():
        assert explorer.problems(state) == []
    quick, slow = (alt_text(dashboard.delay_figure(labels=12, delay=d, loss=8)) for d in (0, 10))
    for rule in ("By the mean the loss is seen ", "by the chart "):
        days = [int(words.split(rule)[1].split(" ")[0]) for words in (quick, slow)]
        assert days[1] - days[0] == 10


def test_false_alarms_are_counted_over_many_runs():
    """One run without a false alarm is luck: of the rule of the mean every eighth month or more has one."""
    by_mean, by_chart = dashboard.false_shares(12, 8)
    assert 0.12 < by_mean < 0.5
    assert 0.0 < by_chart < 0.1


def test_tables_and_figures_say_what_they_hold():
    start = looping.Start(6, "quality was lost", "promote", 0.031, (), (20, 16))
    assert dashboard.starts_table([start]).rows == [
        ["6", "quality was lost", "20 / 16", "+0.031", "promote", "-"]
    ]
    notes = [person.Note(7, person.RETIRE, "labels", 5), person.Note(4, person.ROLL_BACK, "slip")]
    assert dashboard.notes_table(notes).rows[0] == ["7", "retire the regime", "labels"]
    days = SMOKE.days
    story = quarter.Story("x", [0.8] * days, [None] + [0.7] * (days - 1), [None] * days, [0.2] * days)
    story.alarm, story.starts, story.notes = [False] * (days - 1) + [True], [start], notes
    words = alt_text(dashboard.dashboard_figure(story, [Counter({200: 5, 422: 1, 503: 1})] * days, SMOKE))
    assert f"{5 * days} answered, {days} refused, {days} failed." in words
    assert "The alarm of the inputs stands from day 11 on 1 days." in words
    assert "promoted on days 6;" in words
    assert "regime retired on days 7; rolled back on days 4." in words
    found = quarter.summary(story, SMOKE)
    assert (found["promotions"], found["retired, images"], found["rolled back"]) == (1.0, 1.0, 1.0)
    assert (found["before, end"], found["false alarms"]) == (pytest.approx(0.8), 0.0)


def a_table() -> Table:
    """Two seeds; the loop has 0.9 of the oracle's gain after the first change and half after the second."""
    rows = {}
    for seed in range(2):
        row = {}
        for scenario, arms in ((calendar.KEPT, quarter.ARMS), (calendar.LOST, quarter.ARMS)):
            for arm in arms:
                part = {quarter.NEVER: (0.0, 0.0), quarter.ORACLE: (1.0, 1.0)}.get(arm, (0.9, 0.5))
                truth = [0.7] * 5 + [0.5 + 0.2 * part[0]] * 3 + [0.4 + 0.2 * part[1]] * 4
                row[quarter.named(arm, scenario)] = quarter.summary(quarter.Story(arm, truth), SMOKE)
        rows[seed] = row
    return Table({"date": "2026-01-01"}, rows)


def test_what_is_recovered_is_measured_against_the_oracle():
    table = a_table()
    assert quarter.recovered(table, "images") == pytest.approx([0.9] * 2)
    assert quarter.recovered(table, "relation", calendar.LOST) == pytest.approx([0.5] * 2)
    assert quarter.recovered(table, "relation", arm=quarter.NEVER) == [0.0] * 2
    data = quarter.recovery_claim(table)["data"]
    assert data["images changed"] == pytest.approx([0.9] * 2)
    assert data["relation changed"] == pytest.approx([0.5] * 2)
    assert dashboard.recovery_table(table).rows[0] == ["images changed", "0.500", "0.680", "0.700", "90%"]
    assert "whole quarter" in alt_text(dashboard.policies_figure(table))
    assert len(dashboard.policies_table(table).rows) == 4


@pytest.mark.parametrize("claim", ["G38", "G56"])
def test_the_sweep_decides_its_claims(claim):
    assert {"G28", claim} <= set(experiments())
    table = committed("quarter")
    ledger = claims.read(claims.COMMITTED)[claim]["parts"]
    found = quarter.SWEEP.claims[claim](table)["data"]
    for part in claims.get(claim).parts:
        data = found if len(ledger) == 1 else found[part.name]
        assert claims.judge_part(part, data).measured == pytest.approx(ledger[part.name]["measured"])
