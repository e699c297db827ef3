"""Sweeps: what finished is never repeated, another code or setting is refused, the claims see the table."""

import json

import pytest

from gantrans.course import claims
from gantrans.course.experiments import denoisers, generation, modes, schedules
from gantrans.course.experiments.sweeps import Sweep, Table
from gantrans.errors import ConfigError


def sweep(runs: list[int], seeds: int = 3, config: int = 0) -> Sweep:
    def run_seed(seed: int, scale: str) -> dict[str, dict[str, float]]:
        runs.append(seed)
        if seed == 2 and runs.count(2) == 1:
            raise KeyboardInterrupt  # killed in the middle
        return {"a": {"loss": 2.0 * (seed + 1)}, "b": {"loss": seed + 1.0}}

    return Sweep("toy", run_seed, {"smoke": seeds}, lambda scale: [config], {})


def test_a_killed_sweep_goes_on_and_repeats_nothing(tmp_path) -> None:
    runs: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        sweep(runs).run("smoke", tmp_path / "t.json")
    assert json.loads((tmp_path / "t.json").read_text())["rows"].keys() == {"0", "1"}
    table = sweep(runs).run("smoke", tmp_path / "t.json")
    assert runs == [0, 1, 2, 2]
    assert table.seeds == (0, 1, 2)
    assert table.values("loss", "a") == {"a": [2.0, 4.0, 6.0]}
    assert table.means() == {"a": {"loss": 4.0}, "b": {"loss": 2.0}}
    assert table.ratio("loss", "a", "b") == pytest.approx((2.0, 2.0, 2.0))
    assert "3 seeds at scale smoke" in table.source()


def test_another_configuration_does_not_join_the_table(tmp_path) -> None:
    sweep([2]).run("smoke", tmp_path / "t.json")
    with pytest.raises(ConfigError, match="move it or name another --out"):
        sweep([2], config=1).run("smoke", tmp_path / "t.json")


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
