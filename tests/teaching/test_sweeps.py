"""Sweeps: tables, the command that measures them again, and the claims that they decide."""

import json

import pytest

from gantrans.teaching import claims
from gantrans.teaching.claims import ClaimError
from gantrans.teaching.fingerprint import experiment_version
from gantrans.teaching.places import LESSONS
from gantrans.teaching.sweeps import engine, find_grid, measure, registry
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Table, read_table, write_table
from lessons.lesson01.experiments import schedules
from lessons.lesson03.experiments import denoisers, generation, modes


def test_a_table_gives_values_means_ratios_and_its_command(tmp_path) -> None:
    rows = {seed: {"a": {"loss": 2.0 * (seed + 1)}, "b": {"loss": seed + 1.0}} for seed in range(3)}
    about = {"scale": "smoke", "code": "c", "date": "2099-01-01"}
    write_table(Table(about, rows), tmp_path / "toy.json")
    table = read_table(tmp_path / "toy.json")
    assert (table.seeds, table.arms, table.rows) == ((0, 1, 2), ("a", "b"), rows)
    assert table.values("loss", "a") == {"a": [2.0, 4.0, 6.0]}
    assert table.means() == {"a": {"loss": 4.0}, "b": {"loss": 2.0}}
    assert table.ratio("loss", "a", "b") == pytest.approx((2.0, 2.0, 2.0))
    assert table.source().startswith("3 seeds at scale smoke, 2099-01-01, code c; again with ")
    assert table.source().endswith("`python -m gantrans ablate toy --scale smoke`")


@pytest.mark.parametrize("path", sorted(LESSONS.glob("lesson*/results/*.json")), ids=lambda path: path.stem)
def test_committed_tables_name_a_command_that_is_there(path) -> None:
    """Some were measured by commands that are gone."""
    table = read_table(path)
    assert table.command == f"python -m gantrans ablate {path.stem} --scale {table.about['scale']}"
    assert find_grid(path.stem).sweep.path == path


def test_a_sweep_decides_its_claims_and_no_unknown_one(monkeypatch) -> None:
    monkeypatch.setattr(registry, "_EXPERIMENTS", {})
    Sweep("toy", lambda seed, scale: {}, {}, lambda scale: None, {"G06": lambda table: {}})
    assert registry._EXPERIMENTS == {"G06": "toy"}
    with pytest.raises(ClaimError, match="two experiments: the sweep toy and the sweep other"):
        Sweep("other", lambda seed, scale: {}, {}, lambda scale: None, {"G06": lambda table: {}})
    with pytest.raises(ClaimError, match="'G99' is not registered"):
        Sweep("toy", lambda seed, scale: {}, {}, lambda scale: None, {"G99": lambda table: {}})


def test_a_claim_is_measured_again_by_the_engine_that_measures_its_sweep(tmp_path) -> None:
    """The same numbers as in this process, from the notebook of all sweeps, with what made them."""
    ledger, folder = tmp_path / "claims.jsonl", tmp_path / "sweep"
    record = measure.rerun("D08", "smoke", run=ledger, folder=folder)
    assert json.loads(ledger.read_text()) == record
    table = read_table(folder / "modes.json")
    made_by = experiment_version("lessons.lesson03.experiments.modes")
    assert record["experiment"] == table.about["experiment"] == made_by
    assert record["seeds"] == list(table.seeds) == list(modes.SWEEP.seeds_at("smoke"))
    here = modes.SWEEP.row(1, "smoke")
    for arm, quantities in here.items():
        same = {name: value for name, value in quantities.items() if name != "CPU seconds"}
        assert {name: table.rows[1][arm][name] for name in same} == same
    executed = next((folder / "runs").glob("*seed=1*/executed.ipynb")).read_text("utf-8")
    assert "**The question:** Does a diffusion model or a GAN miss more of 25 Gaussians?" in executed


def test_a_sweep_that_did_not_end_gives_no_record(tmp_path, monkeypatch) -> None:
    unfinished = engine.Report(tmp_path, 4, 3, ())
    monkeypatch.setattr(measure, "run_grid", lambda *given, **named: unfinished)
    with pytest.raises(ClaimError, match=r"3 of 4 runs are done; go on with `python .* ablate modes"):
        measure.rerun("D08", "smoke", folder=tmp_path)


@pytest.mark.parametrize("module", [schedules, modes, denoisers, generation])
def test_every_sweep_has_six_seeds_and_claims_with_rules(module) -> None:
    assert module.SWEEP.seeds["reduced"] >= 6
    assert module.SWEEP.name == module.__name__.rsplit(".", 1)[-1]
    for claim_id in module.SWEEP.claims:
        assert claims.get(claim_id).lessons


def made_up(row, seeds: int = 6) -> Table:
    return Table({"scale": "reduced"}, {seed: row(seed) for seed in range(seeds)})


def test_claims_of_the_denoisers_compare_the_arms_they_name() -> None:
    """With losses made so that batch norm costs 10 % and attention gains 5 %, the rules say so."""

    def row(seed: int) -> dict[str, dict[str, float]]:
        losses = dict.fromkeys(denoisers.ARMS, 0.4 + 0.001 * seed)
        losses["folded, v, batch norm"] *= 1.1
        losses["folded, v, no attention"] /= 0.95
        losses["folded, v, no norm"] *= 0.99
        return {arm: {"loss": loss} for arm, loss in losses.items()}

    table = made_up(row)
    d03 = claims.judge_part(claims.get("D03").parts[0], denoisers.batch_norm_costs(table)["data"])
    assert (d03.verdict, d03.measured) == ("holds", pytest.approx(1.1))
    parts = denoisers.attention_and_norm(table)["data"]
    found = {name: claims.judge_part(claims.get("D09").part(name), data) for name, data in parts.items()}
    assert found["attention"].measured == pytest.approx(0.95)
    assert found["attention"].verdict == "holds"
    assert found["group norm"].verdict == "excluded"


def test_steps_needed_is_the_fewest_within_five_points() -> None:
    valid = dict.fromkeys(generation.SAMPLERS, 0.5) | {"DDPM 50": 0.7, "DPM++ 20": 0.66, "DDIM 50": 0.69}
    guided = {f"guidance {g:g}": {"valid": 0.1} for g in generation.GUIDANCE}

    def row(seed: int) -> dict[str, dict[str, float]]:
        return {**{n: {"valid": v} for n, v in valid.items()}, **guided, "latency": {"one evaluation": 1.5}}

    table = made_up(row)
    assert generation.steps_needed(table) == 20
    slower = generation.slower(table)
    assert slower["data"] == [30.0] * 6
    assert slower["numbers"]["all steps"] == 1500.0


def test_modes_are_counted() -> None:
    mixture = modes.grid()
    everywhere = mixture.centres.repeat(100, 1).float()
    assert modes.covered(everywhere, mixture) == (25, 1.0)
    assert modes.covered(everywhere[:1].repeat(2500, 1), mixture) == (1, 1.0)
    between = everywhere + 0.2  # half way to the next centre
    assert modes.covered(between, mixture) == (0, 0.0)
