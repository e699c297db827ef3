"""Lesson 13: the simulated quarter, its loop behind a server, the policies, figures and tables."""

from collections import Counter

import numpy as np
import pytest
import torch

from gantrans.images import unit_from_uint8
from gantrans.operations.feedback.pictures import encode_png
from gantrans.operations.promotion.gate import Check, Decision
from gantrans.operations.promotion.triggers import Signals
from gantrans.teaching import claims
from gantrans.teaching.explorers import Explorer, Slider
from gantrans.teaching.plots import alt_text
from gantrans.teaching.sweeps.registry import experiments
from gantrans.teaching.sweeps.tables import Table, committed
from lessons.lesson13.experiments import quarter
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


class Scripted:
    """A `Site` whose signals are written down: quality falls on a day, and an alarm stands from another."""

    def __init__(self, falls: int, alarms: int) -> None:
        self.falls, self.alarms, self.day = falls, alarms, -1
        self.values: list[float] = []
        self.parts: list[quarter.PairedDataset] = []
        self.asked: list[tuple[int, int, int]] = []

    def translate(self, pairs):
        self.day += 1
        return unit_from_uint8(pairs.layout)

    def label(self, pairs):
        self.parts.append(pairs)
        self.values += [0.5 if self.day >= self.falls else 0.8] * len(pairs)

    def labelled(self):
        return calendar.joined(self.parts)

    def qualities(self):
        return self.values

    def drift(self):
        return 0.5, self.day >= self.alarms

    def challenge(self, new, hold, day):
        assert not set(new.names) & set(hold.names)
        self.asked.append((day, len(new), len(hold)))
        return Decision((Check("new bound", False, -0.1, 0.0, "no"),))


def test_the_second_change_is_in_the_drawings_alone():
    sets = {phase: calendar.phase_pairs(phase, "shown", 32, 0, 6) for phase in calendar.PHASES}
    assert torch.equal(sets["new"].sem, sets["redrawn"].sem)
    assert torch.equal(sets["old"].layout, sets["new"].layout)
    assert not torch.equal(sets["old"].sem, sets["new"].sem)
    drawn, less = (sets[name].layout.float().mean() for name in ("new", "redrawn"))
    assert 0.2 * drawn < less < 0.9 * drawn
    days = [calendar.phase_of(day, SMOKE) for day in (0, 2, 3, 5, 6, 8)]
    assert days == ["old", "old", "new", "new", "redrawn", "redrawn"]
    monday, tuesday = (calendar.day_pairs(day, "smoke", 0) for day in (0, 1))
    assert not torch.equal(monday.layout, tuesday.layout)
    assert not set(monday.names) & set(tuesday.names)


def test_what_each_policy_starts_on():
    few, many = quarter.TRIGGER.fewest_pairs, quarter.TRIGGER.enough_pairs
    drift = Signals(few, drift=True)
    fell = Signals(few, quality=0.5, reference=0.7)
    assert quarter.wanted(quarter.ON_DRIFT, drift) == "drift"
    assert quarter.wanted(quarter.ON_DRIFT, Signals(few - 1, drift=True)) == ""
    assert quarter.wanted(quarter.ON_DRIFT, fell) == quarter.wanted(quarter.ON_LABELS, drift) == ""
    assert quarter.wanted(quarter.ON_LABELS, fell).startswith("quality fell by 0.200")
    assert "enough to train" in quarter.wanted(quarter.ON_LABELS, Signals(many))
    assert quarter.wanted(quarter.NEVER, Signals(many, 0.1, 0.9, True)) == ""


def test_the_loop_waits_for_labels_and_halves_them(tmp_path):
    site = Scripted(falls=5, alarms=99)
    story = quarter.run_quarter(site, quarter.ON_LABELS, "smoke", 0, tmp_path)
    assert story.truth == [1.0] * SMOKE.days
    assert story.quality[0] is None  # not enough labels yet
    (start,) = story.starts
    assert start.day == 6  # 72 labels by then, and the mean of the last twenty is low
    assert (start.verdict, start.failed) == ("keep the champion", ("new bound",))
    assert site.asked == [(6, 36, 36)]
    other = quarter.run_quarter(Scripted(99, 2), quarter.ON_DRIFT, "smoke", 0, tmp_path / "other")
    assert [s.day for s in other.starts] == [6]
    none = quarter.run_quarter(Scripted(99, 99), quarter.ON_DRIFT, "smoke", 0, tmp_path / "none")
    assert none.starts == []


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
    for day in (0, 4, 8):
        pairs = calendar.day_pairs(day, "smoke", 0)
        assert story.truth[day] == pytest.approx(
            float(calendar.ious(site.champion(), pairs).mean()), abs=0.02
        )
    labels = (SMOKE.days - SMOKE.delay) * SMOKE.labels
    assert len(site.qualities()) == len(site.labelled()) == labels
    assert np.mean(site.qualities()[-20:]) == pytest.approx(story.quality[-1])
    assert sum(sum(day.values()) for day in site.statuses) == SMOKE.days * SMOKE.images
    assert not set(range(SMOKE.days)) & set(STRAY_DAYS)
    figure = dashboard.dashboard_figure(story, site.statuses, SMOKE)
    assert f"{SMOKE.days * SMOKE.images} answered, 0 refused, 0 failed." in alt_text(figure)


def test_labels_after_a_rollback_go_to_the_version_that_predicted(site):
    site.translate(calendar.phase_pairs("old", "before", SMOKE.size, 0, 2))  # so that v0001 has predicted
    pairs = calendar.phase_pairs("redrawn", "after", SMOKE.size, 0, 12)
    old = calendar.phase_pairs("old", "some", SMOKE.size, 0, 24)
    decision = site.challenge(old.subset(range(8)), old.subset(range(8, 24)), day=99)
    assert decision.verdict == "keep the champion"
    assert site.registry.aliases(DIRECTION).champion == "v0001"
    site.registry.promote(DIRECTION, "challenger")
    site.translate(pairs)
    site.registry.rollback(DIRECTION, why="test")
    before = {row["model"]: row for row in site.performance()}
    site.label(pairs)
    after = {row["model"]: row for row in site.performance()}
    assert after["v0001"] == before["v0001"]
    assert (after["v0002"]["predictions"], after["v0002"]["labelled"]) == (12, 12)
    assert dashboard.credit_table(site.performance()).rows[1][:4] == ["v0002", "12", "12", "100%"]


def test_a_promotion_fits_the_input_monitor_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("GANTRANS_CACHE", str(tmp_path / "runs"))
    bench = quarter.Bench("smoke", 0, tmp_path)
    monkeypatch.setattr(quarter, "judge", lambda *_: Decision((Check("new bound", True, 0.1, 0.0, "yes"),)))
    run, pairs = bench.run, calendar.phase_pairs("old", "some", SMOKE.size, 0, 16)
    bench.translate(calendar.day_pairs(0, "smoke", 0))
    assert bench.monitor.seen == SMOKE.images
    assert bench.challenge(pairs.subset(range(8)), pairs.subset(range(8, 16)), 1).promoted
    assert (bench.run != run, bench.monitor.seen) == (True, 0)
    assert bench.qualities() == []  # the labelled predictions were another version's


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
    days = [int(words.split("seen ")[1].split(" ")[0]) for words in (quick, slow)]
    assert days[1] - days[0] == 10


def test_tables_and_figures_say_what_they_hold():
    start = quarter.Start(36, "quality fell by 0.210", "promote", 0.031)
    assert dashboard.starts_table([start]).rows == [["36", "quality fell by 0.210", "+0.031", "promote", "-"]]
    story = quarter.Story("x", [0.8] * 9, [None] + [0.7] * 8, [0.2] * 9, [False] * 8 + [True], [start])
    words = alt_text(dashboard.dashboard_figure(story, [Counter({200: 5, 422: 1, 503: 1})] * 9, SMOKE))
    assert "45 answered, 9 refused, 9 failed." in words
    assert "The alarm stands from day 8 on 1 days." in words
    assert "Promotions on days: 36." in words
    assert quarter.summary(story, SMOKE)["promotions"] == 1.0


def test_the_sweep_decides_its_claim():
    assert {"G28", "G38"} <= set(experiments())
    table = committed("quarter")
    assert set(table.arms) == set(quarter.POLICIES)
    ledger = claims.read(claims.COMMITTED)["G38"]["parts"]["all"]
    found = quarter.policies_claim(Table(table.about, table.rows))
    (part,) = claims.get("G38").parts
    assert claims.judge_part(part, found["data"]).measured == pytest.approx(ledger["measured"])
    assert len(dashboard.policies_table(table).rows) == 3
    assert "whole quarter" in alt_text(dashboard.policies_figure(table))
