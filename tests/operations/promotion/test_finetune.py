"""Fine-tuning: the rate that is really used, state that really goes on, replay shares, scores kept apart."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gantrans.config import to_dict
from gantrans.data import BatchSource, PairedDataset, make_pairs
from gantrans.errors import CheckpointError, ConfigError, TrainingError
from gantrans.networks import PatchGANConfig, ResidualUNetConfig
from gantrans.operations.promotion.comparison import compare, measure_latency, score_images, smoke_inference
from gantrans.operations.promotion.finetune import FineTuneConfig, fine_tune, loss_alarms
from gantrans.operations.promotion.registry import Registry
from gantrans.operations.promotion.replay import ReplayBatches
from gantrans.operations.promotion.warm_start import check_rates, freeze, warm_start
from gantrans.training import FitConfig, fit, load_checkpoint
from gantrans.translation import DataSpec, Pix2PixConfig, Pix2PixTask, Predictor, Recipe
from lessons.lesson12.experiments.kills import DIRECTION, tiny_run

CONFIG = Pix2PixConfig(
    ResidualUNetConfig(base_filters=2, multipliers=(1, 2)), PatchGANConfig(base_filters=2, n_layers=1)
)
DECAYING = FitConfig(
    4, precision="fp32", channels_last=True, lr_schedule="linear_decay", log_every=1, checkpoint_every=1
)


def some_pairs(seed: int, count: int = 6) -> PairedDataset:
    return make_pairs("procedural", count=count, size=16, seed=seed, progress=False)


def weights(task: Pix2PixTask) -> list[torch.Tensor]:
    return [
        value.detach().clone()
        for network in task.networks.values()
        for value in network.state_dict().values()
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A champion after three of four steps, at a rate that has decayed to half."""
    out = tmp_path_factory.mktemp("champion") / "run"
    recipe = Recipe(DIRECTION, DataSpec(size=16, count=6, validation=4), CONFIG, DECAYING)
    batches = BatchSource(some_pairs(0), DIRECTION, 2, 0)
    fit(
        Pix2PixTask(CONFIG), batches, DECAYING, out=out, until=3, extra={"recipe": to_dict(recipe)},
        progress=False, device="cpu",
    )  # fmt: skip
    return out


def started(run: Path, **options: object) -> Pix2PixTask:
    task = Pix2PixTask(CONFIG)
    warm_start(task, load_checkpoint(run), device="cpu", channels_last=True, **options)  # type: ignore[arg-type]
    return task


def test_the_trap_loading_brings_the_old_rate_back(run: Path) -> None:
    task, contents = Pix2PixTask(CONFIG), load_checkpoint(run)
    optimizer = task.optimizers["generator"]
    base = CONFIG.lr_generator
    for group in optimizer.param_groups:
        group["lr"] = base / 10  # too early
    optimizer.load_state_dict(contents["optimizers"]["generator"])
    assert optimizer.param_groups[0]["lr"] == pytest.approx(base)  # linear decay has just begun
    with pytest.raises(
        TrainingError, match=r"would train at 0\.0002, not at 2e-05; set the rate after loading"
    ):
        check_rates("generator", optimizer, [base / 10])


def test_the_rate_is_a_tenth_of_the_base_rate_from_the_first_step_on(run: Path) -> None:
    task = started(run)
    for name, base in (("generator", CONFIG.lr_generator), ("discriminator", CONFIG.lr_discriminator)):
        assert [g["lr"] for g in task.optimizers[name].param_groups] == [0.1 * base]
    flat = FitConfig(2, precision="fp32", channels_last=True, log_every=1)
    result = fit(task, BatchSource(some_pairs(0), DIRECTION, 2, 0), flat, progress=False, device="cpu")
    assert [r["lr_generator"] for r in result.history.records] == [0.1 * CONFIG.lr_generator] * 2
    assert [r["lr_discriminator"] for r in result.history.records] == [0.1 * CONFIG.lr_discriminator] * 2


def test_a_scheduler_of_torch_would_start_from_the_rate_as_well(run: Path) -> None:
    contents = load_checkpoint(run)
    for state in contents["optimizers"].values():
        for group in state["param_groups"]:
            group["initial_lr"] = 7.0
    task = Pix2PixTask(CONFIG)
    warm_start(task, contents, device="cpu")
    optimizer = task.optimizers["generator"]
    scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0, last_epoch=0)
    assert scheduler.base_lrs == [0.1 * CONFIG.lr_generator]


def test_going_on_at_the_full_rate_equals_never_having_stopped(tmp_path: Path) -> None:
    """Weights, moments, running statistics and spectral norm: all came along, bit for bit."""
    data = BatchSource(some_pairs(0), DIRECTION, 2, 0)
    flat = replace(DECAYING, lr_schedule="constant")
    straight = Pix2PixTask(CONFIG)
    fit(straight, data, flat, progress=False, device="cpu")
    fit(Pix2PixTask(CONFIG), data, flat, out=tmp_path / "run", until=2, progress=False, device="cpu")
    task = started(tmp_path / "run", rate=1.0)
    fit(task, lambda step: data(step + 2), replace(flat, steps=2), progress=False, device="cpu")
    assert all(map(torch.equal, weights(task), weights(straight)))
    fresh = started(tmp_path / "run", rate=1.0, keep_optimizer=False)
    fit(fresh, lambda step: data(step + 2), replace(flat, steps=2), progress=False, device="cpu")
    assert not all(map(torch.equal, weights(fresh), weights(straight)))


@pytest.mark.parametrize("channels_last", [True, False])
def test_moments_take_the_memory_format_of_their_weights(run: Path, channels_last: bool) -> None:
    task = Pix2PixTask(CONFIG)
    contents = load_checkpoint(run)
    warm_start(task, contents, device="cpu", channels_last=channels_last)
    stored = contents["optimizers"]["generator"]["state"]
    for number, (parameter, state) in enumerate(task.optimizers["generator"].state.items()):
        assert state["exp_avg"].stride() == parameter.stride()
        assert torch.equal(state["exp_avg"], stored[number]["exp_avg"])


def test_other_weights_are_refused(run: Path) -> None:
    wider = replace(CONFIG, generator=ResidualUNetConfig(base_filters=3, multipliers=(1, 2)))
    with pytest.raises(CheckpointError, match="do not fit this network"):
        warm_start(Pix2PixTask(wider), load_checkpoint(run), device="cpu")


def test_frozen_parts_do_not_move(run: Path) -> None:
    task = started(run, rate=1.0)
    names = freeze(task.generator, ("entry", "encoder"))
    before = {name: value.detach().clone() for name, value in task.generator.named_parameters()}
    flat = FitConfig(2, precision="fp32", channels_last=True)
    fit(task, BatchSource(some_pairs(0), DIRECTION, 2, 0), flat, progress=False, device="cpu")
    after = dict(task.generator.named_parameters())
    assert {name for name in after if torch.equal(after[name], before[name])} == set(names)
    with pytest.raises(ConfigError, match=r"frozen has 'head'; the generator's parts are decoder, down"):
        freeze(task.generator, ("head",))


@pytest.mark.parametrize("share", [0.0, 0.25, 0.3, 0.5, 1.0])
def test_replay_mixes_in_exactly_the_share(share: float) -> None:
    new, old = some_pairs(1), some_pairs(2)
    dark = torch.zeros_like(new.sem)
    new, old = new.with_images(sem=dark), old.with_images(sem=dark + 255)  # told apart by their grey
    batches = ReplayBatches(new, old, DIRECTION, 4, share, seed=0)
    counts = [int((batches(step)["input"].mean((1, 2, 3)) > 0).sum()) for step in range(20)]
    assert sum(counts) == round(20 * 4 * share)
    assert max(counts) - min(counts) <= 1
    assert all(batches(step)["input"].shape == (4, 1, 16, 16) for step in (0, 19))
    assert len(batches(3)["family"]) == 4


def test_without_old_pairs_nothing_is_replayed() -> None:
    new = some_pairs(1)
    batches = ReplayBatches(new, None, DIRECTION, 4, 0.5, seed=0)
    alone = ReplayBatches(new, some_pairs(2), DIRECTION, 4, 0.0, seed=0)
    assert all(torch.equal(batches(step)["input"], alone(step)["input"]) for step in range(4))
    config = FineTuneConfig(share=0.5, batch_size=8)
    assert (config.steps_per_epoch(50, replay=False), config.steps_per_epoch(50)) == (7, 13)


def test_replay_batches_are_a_function_of_the_step_and_pairs_stay_pairs() -> None:
    new, old = some_pairs(1), some_pairs(2)
    new, old = (pairs.with_images(sem=pairs.layout) for pairs in (new, old))  # input must equal target
    batches = ReplayBatches(new, old, DIRECTION, 4, 0.3, seed=0)
    again = ReplayBatches(new, old, DIRECTION, 4, 0.3, seed=0)
    for step in (7, 0, 7):
        assert torch.equal(batches(step)["input"], again(step)["input"])
        assert torch.equal(batches(step)["input"], batches(step)["target"])
    seen = {tuple(image.flatten().tolist()) for step in range(40) for image in batches(step)["input"]}
    assert len(seen) > 12  # turns and flips of twelve pairs
    with pytest.raises(ConfigError, match=r"share is 1\.5"):
        ReplayBatches(new, old, DIRECTION, 4, 1.5, seed=0)


def test_an_epoch_is_one_pass_over_the_new_pairs() -> None:
    assert FineTuneConfig(share=0.0, batch_size=8).steps_per_epoch(50) == 7
    assert FineTuneConfig(share=0.5, batch_size=8).steps_per_epoch(50) == 13
    with pytest.raises(ConfigError, match="epochs is 100; it must be at least 1 and at most 20"):
        FineTuneConfig(epochs=100)


def test_fine_tuning_keeps_old_and_new_apart_and_can_be_registered(run: Path, tmp_path: Path) -> None:
    config = FineTuneConfig(epochs=2, batch_size=4)
    held = {"old": some_pairs(3), "new": some_pairs(4)}
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    result = fine_tune(
        run, some_pairs(1), some_pairs(2), config, out=tmp_path / "challenger", validation=held,
        parent="v0001", progress=False, device="cpu",
    )  # fmt: skip
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before  # the champion is untouched
    assert result.fit.step == 2 * 3
    scored = [r for r in result.fit.history.records if "val_iou_old" in r]
    assert [r["step"] for r in scored] == [3, 6]
    assert result.after == pytest.approx({k[4:]: v for k, v in scored[-1].items() if k[:4] == "val_"})
    assert result.before.keys() == {"iou_old", "iou_new", "l1_old", "l1_new"}
    assert set(result.reference) == {"loss_d", "loss_gan_g"}
    stored = load_checkpoint(tmp_path / "challenger")["settings"]["extra"]
    assert (stored["parent"], stored["finetune"]["rate"]) == ("v0001", 0.1)
    registry = Registry(tmp_path / "registry")
    registry.register(run)
    registry.promote(DIRECTION)
    version = registry.register(tmp_path / "challenger", parent="v0001", metrics=result.after)
    served = registry.predictor(DIRECTION, version.name, torch.device("cpu"))
    trained = Predictor.load(tmp_path / "challenger", torch.device("cpu"))
    assert served.recipe.task == CONFIG  # the base rates, not the small ones: the next fine-tuning needs them
    image = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(served.translate(image), trained.translate(image))


def test_spikes_and_collapses_are_alarms() -> None:
    config, normal = FineTuneConfig(spike=2.0, collapse=0.2), {"loss_d": 0.1, "loss_gan_g": 1.0}
    assert loss_alarms({"step": 3, "loss_d": 0.19, "loss_gan_g": 0.21}, normal, config) == []
    both = loss_alarms({"step": 3, "loss_d": 0.21, "loss_gan_g": 0.19}, normal, config)
    assert [str(alarm) for alarm in both] == [
        "step 3: loss_d is 0.21, above 0.2",
        "step 3: loss_gan_g is 0.19, below 0.2",
    ]
    assert loss_alarms({"step": 3, "loss_l1": 9.0}, {}, config) == []  # a translator without a discriminator


def test_the_gates_inputs_come_from_the_same_images(run: Path, tmp_path: Path) -> None:
    one = Predictor.load(run, torch.device("cpu"))
    other = Predictor.load(tiny_run(tmp_path / "other", 3), torch.device("cpu"))
    pairs = some_pairs(5)
    both = compare(one, other, pairs, [str(i // 2) for i in range(6)])
    quality, defects = score_images(other, pairs)
    assert both.challenger.tolist() == quality.tolist()
    assert both.challenger_defects.tolist() == defects.tolist()
    assert (both.differences == both.challenger - both.champion).all()
    first, second = measure_latency(one, other, pairs, repeats=20)
    assert len(first) == len(second) == 20
    assert min(first.min(), second.min()) > 0


def test_smoke_inference_reads_the_files(run: Path, tmp_path: Path) -> None:
    registry, pairs = Registry(tmp_path), some_pairs(5)
    folder = registry.register(run).folder
    assert smoke_inference(folder, pairs, torch.device("cpu")) == ""
    (folder / "weights.safetensors").write_bytes(b"0")
    assert "is not the file that was registered" in smoke_inference(folder, pairs, torch.device("cpu"))
