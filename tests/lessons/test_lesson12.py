"""Lesson 12: its figures over their grids, its tables, the process change and the sweep behind its claims."""

from functools import partial

import numpy as np
import pytest
import torch

from gantrans.data import LayoutConfig, context_px, procedural_layouts, simulate
from gantrans.images import unit_from_uint8
from gantrans.operations.promotion.finetune import FineTuneConfig
from gantrans.operations.promotion.gate import Compared, GateConfig, decide
from gantrans.operations.promotion.registry import Registry
from gantrans.teaching import claims
from gantrans.teaching.explorers import Choice, Explorer, Slider
from gantrans.teaching.plots import alt_text
from gantrans.teaching.sweeps.registry import experiments
from gantrans.teaching.sweeps.tables import Table, committed
from gantrans.translation import Predictor
from lessons.lesson12.experiments import fine_tuning, promotion
from lessons.lesson12.figures import gate, tuning
from lessons.shared import process_change


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The champion of a smoke run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANTRANS_CACHE", str(tmp_path_factory.mktemp("runs")))
        patch.setenv("TQDM_DISABLE", "1")
        yield process_change.champion("smoke")


@pytest.fixture(scope="module")
def tuned(run):
    config = FineTuneConfig(epochs=2, batch_size=4)
    return process_change.challenger(run, "smoke", 0, config), config


def test_new_conditions_differ_and_layouts_are_imaged_several_times():
    setting = process_change.SETTINGS["smoke"]
    old, names = process_change.hold_out("old", "smoke", 0)
    new, _ = process_change.hold_out("new", "smoke", 0)
    count = setting.layouts
    assert len(old) == count * setting.images == len(names)
    assert torch.equal(old.layout[:count], old.layout[count : 2 * count])
    assert not torch.equal(old.sem[:count], old.sem[count : 2 * count])
    assert names[0] == names[count] != names[1]
    assert len(set(old.names)) == len(old)
    assert float(new.sem.float().mean()) > float(old.sem.float().mean())  # a brighter background
    train = process_change.training_pairs("old", "smoke", 0)
    assert not set(train.names) & set(old.names)
    assert not any(torch.equal(a, b) for a in train.layout[:4] for b in old.layout[:count])


def test_lines_print_wider_in_new_conditions():
    """The relation changes: of the same drawing, more is printed."""
    drawn = procedural_layouts(LayoutConfig(32, 20.0), 0, range(8), margin_px=context_px(20.0))
    printed = {
        which: float(simulate(drawn, process_change.CONDITIONS[which], 0, range(8)).printed.mean())
        for which in ("old", "new")
    }
    assert printed["new"] > printed["old"] + 0.03


def test_rates_after_loading_show_the_trap(run):
    rates = tuning.rates_after_loading(run)
    wanted = rates["wanted: the base rate / 10"]
    assert rates["load, then set from the configuration"] == wanted
    assert rates["set, then load"] not in (wanted, 10 * wanted)  # decayed
    assert rates["load, then divide by 10"] == pytest.approx(rates["set, then load"] / 10)


def test_a_challenger_is_loaded_as_it_was_made(run, tuned):
    one, config = tuned
    again = process_change.challenger(run, "smoke", 0, config)
    assert (again.after, again.records, again.alarms) == (one.after, one.records, one.alarms)
    assert {"iou_old", "iou_new"} <= set(one.before)
    words = alt_text(tuning.epochs_figure({"with replay": one}))
    assert "old images against the training step: with replay goes from" in words
    assert "new images" in words
    assert "D's loss against" in alt_text(tuning.watch_figure({"with replay": one}, config))


def test_the_process_figure_shows_both_conditions(run):
    sets = {which: process_change.hold_out(which, "smoke", 0)[0] for which in ("old", "new")}
    figure = tuning.process_figure(Predictor.load(run), sets)
    assert "new: answer over drawing: IoU" in alt_text(figure)
    assert [ax.get_title() for ax in figure.axes[:2]] == ["SEM image", "drawn layout"]


def test_the_explorer_of_bounds_draws_every_state():
    controls = (
        Slider("gain", "true gain", 0, 20, 5, 5),
        Slider("layouts", "layouts", 8, 60, 4, 40),
        Slider("common", "shared", 0, 90, 15, 60),
    )
    explorer = Explorer(gate.bounds_figure, controls, "bounds")
    for state in explorer.grid():
        assert explorer.problems(state) == []
    few = alt_text(gate.bounds_figure(gain=20, layouts=8, common=0))
    assert "layouts: insufficient data" in few


def test_the_explorer_of_the_sweep_draws_every_state():
    table = committed("fine_tuning")
    controls = (
        Slider("share", "share", 0.0, 1.0, 0.25, 0.5),
        Choice("beside", "beside", ("nothing", "rates"), "nothing"),
    )
    explorer = Explorer(partial(tuning.plane_figure, table), controls, "sweep")
    for state in explorer.grid():
        assert explorer.problems(state) == []
    assert "IoU on new images (champion" in alt_text(tuning.rates_figure(table))
    assert tuning.pairs_table(table).rows[0][0] == "corrected pairs"


def test_shared_variance_of_known_effects():
    generator = np.random.default_rng(0)
    for layout_sd, image_sd, wanted in ((0.02, 0.0, 1.0), (0.0, 0.02, 0.0), (0.02, 0.02, 0.5)):
        hold = promotion.Hold(400, 4, layout_sd, image_sd)
        values = hold.draw(generator)
        none = np.zeros(len(values))
        compared = Compared(none, values, hold.clusters, ["any"] * len(values), none, none)
        assert gate.shared_variance(compared) == pytest.approx(wanted, abs=0.07)


def test_tables_say_what_they_hold(run, tmp_path):
    values = np.full(60, 0.8)
    none = np.zeros(60)
    better = Compared(values, values + 0.05, [str(i // 3) for i in range(60)], ["jog"] * 60, none, none)
    seconds = [0.01] * 20
    good = decide(better, better, latency=(seconds, seconds), smoke_problem="", config=GateConfig())
    slow = decide(better, better, latency=(seconds, [0.03] * 20), smoke_problem="")
    table = str(gate.decision_table({"good": good, "slow": slow}))
    assert "3: FAILED" in table
    assert "| verdict |  | promote | keep the champion |" in table
    registry = Registry(tmp_path)
    registry.register(run)
    registry.promote("sem2layout")
    assert [row[1:4] for row in gate.history_table(registry).rows] == [
        ["register", "v0001", "-"],
        ["promote", "v0001", "v0001"],
    ]
    assert gate.equal_table({"mean": (1000, 2000)}).rows[0][2] == "50.0%"
    ledger = claims.read(claims.COMMITTED)
    assert "simulated" in gate.latency_table(ledger["G39"]).caption
    assert gate.latency_table(ledger["G39"]).rows[-1] == ["3", "100%"]
    words = alt_text(gate.rules_figure(ledger["G26"]))
    assert "image bootstrap 9.6%" in words
    assert "gate, defects by bound" in words
    assert gate.defects_table(4).rows[0] == ["none, and none", "0%", "0%", "0%"]


def test_the_winner_of_equal_challengers_seems_to_gain():
    years = promotion.winners(40)
    assert set(years) == {promotion.NEW_EACH, promotion.SAME_ALL}
    fresh = years[promotion.NEW_EACH]
    assert 0.004 < fresh.claimed < 0.012  # the true gain is 0
    assert 0.0 < fresh.promoted < 0.05
    assert fresh.promoting <= 12 * fresh.promoted
    rows = gate.winners_table(years).rows
    assert rows[0][0] == promotion.NEW_EACH
    assert gate.winners_table({"few": promotion.Year(0.0, 0.0, float("nan"))}).rows[0][3] == "none"


def test_the_sweep_gives_each_claim_its_arms_and_parts():
    arms = {f"{rate}, {epochs} epochs" for rate in fine_tuning.RATES for epochs in fine_tuning.EPOCHS}
    arms |= {f"replay {share:g}" for share in fine_tuning.SHARES}
    arms |= {"corrected pairs", "random pairs", fine_tuning.BEFORE}
    row = {arm: {"old": 0.8, "new": 0.6, "D rose": 1.0, "G fell": 1.0} for arm in arms}
    table = Table({}, dict.fromkeys(range(6), row))
    for claim_id, judged in fine_tuning.SWEEP.claims.items():
        claim, found = claims.get(claim_id), judged(table)
        by_part = found["data"] if len(claim.parts) > 1 else {claim.parts[0].name: found["data"]}
        assert set(by_part) == {part.name for part in claim.parts}
        for name, data in by_part.items():
            claims.judge_part(claim.part(name), data)
    assert {"G25", "G26", "G27", "G28", "G37", "G39"} <= set(experiments())


def test_the_worst_pairs_are_the_ones_the_champion_gets_wrong(run):
    pool = process_change.pairs("new", "pool", "smoke", 0, 16)[0]
    predictor = Predictor.load(run)
    quality = fine_tuning.per_image(predictor, pool)
    assert quality.shape == (16,)
    outputs = predictor.translate(unit_from_uint8(pool.sem))
    assert outputs.shape == pool.layout.shape
    assert fine_tuning.scores_of(run, {"old": pool, "new": pool})["new"] == pytest.approx(
        float(quality.mean())
    )


def test_the_committed_table_is_the_one_the_ledger_was_judged_by():
    table, ledger = committed("fine_tuning"), claims.read(claims.COMMITTED)
    for claim_id, judged in fine_tuning.SWEEP.claims.items():
        for name, part in ledger[claim_id]["parts"].items():
            data = judged(table)["data"]
            data = data[name] if len(ledger[claim_id]["parts"]) > 1 else data
            assert claims.judge_part(claims.get(claim_id).part(name), data).measured == pytest.approx(
                part["measured"]
            )
