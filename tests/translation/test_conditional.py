"""Conditional diffusion as a translation: its loss, an exact posterior, exact resume, how it is used."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.config import from_dict, to_dict
from gantrans.data import BatchSource, PairedDataset
from gantrans.diffusion import DiffusionConfig, DiffusionTask, SamplerConfig, sample
from gantrans.errors import ConfigError, DataError
from gantrans.images import unit_from_uint8
from gantrans.metrics import iou, spectrum_error
from gantrans.networks import DenoiserConfig, VectorDenoiserConfig
from gantrans.training import Runtime, fit
from gantrans.translation import (
    ConditionalDiffusionConfig,
    ConditionalDiffusionTask,
    DiffusionGenerator,
    DrawnValidation,
    Pix2PixConfig,
    Predictor,
    Recipe,
    build_generator,
    build_task,
    ensemble_interval,
    fewest_answers,
    recipe,
    train_recipe,
    validation_of,
)
from gantrans.translation.answers import answer_seeds, widening
from gantrans.translation.sizes import check_sizes
from gantrans.translation.tiling import Tiling

DIRECTIONS = ("sem2layout", "layout2sem")
SMALL = DenoiserConfig(condition_channels=1, base_filters=8, multipliers=(1, 2), unshuffle=2)
CPU = torch.device("cpu")


def runtime(seed: int) -> Runtime:
    return Runtime(CPU, "fp32", 1, torch.Generator().manual_seed(seed))


def some_batch() -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(1)
    return {
        "input": torch.rand(3, 1, 16, 16, generator=draw) * 2 - 1,
        "target": torch.randn(3, 1, 16, 16, generator=draw).sign(),
    }


def chosen(direction: str, **changes: object) -> Recipe:
    """The recipe at smoke with few pairs."""
    found = recipe(direction, "smoke", name="diffusion")
    fitting = replace(found.fit, steps=6, validate_every=3, log_every=1)
    return replace(found, data=replace(found.data, count=8, validation=4), fit=fitting, **changes)


class Exact(nn.Module):
    """The posterior mean of y given x_t, where y = condition / 2 + `spread` * (standard normal), exactly."""

    def __init__(self, config: DiffusionConfig, spread: float) -> None:
        super().__init__()
        self.schedule, self.spread = config.noise_schedule, spread
        self.place = nn.Parameter(torch.zeros(()))

    def forward(self, x_t: Tensor, t: Tensor, *, condition: Tensor) -> Tensor:
        a = self.schedule.signal[t].to(x_t).reshape(-1, 1, 1, 1)
        s = self.schedule.sigma[t].to(x_t).reshape(-1, 1, 1, 1)
        gain = self.spread**2 * a / (a**2 * self.spread**2 + s**2)
        return condition / 2 + gain * (x_t - a * condition / 2)


def exact_predictor(sampling: SamplerConfig, spread: float = 0.2) -> Predictor:
    training = DiffusionConfig(SMALL, prediction="x0")
    config = ConditionalDiffusionConfig(training, sampling)
    generator = DiffusionGenerator(config)
    generator.denoiser = Exact(training, spread)
    return Predictor(generator, chosen("layout2sem", task=config), CPU)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SEM -> layout, trained for six steps."""
    out = tmp_path_factory.mktemp("diffusion") / "run"
    train_recipe(chosen("sem2layout"), out, progress=False, device="cpu")
    return out


@pytest.fixture(scope="module")
def images() -> Tensor:
    return unit_from_uint8(chosen("sem2layout").data.pairs("val", "sem2layout").sem)


@pytest.mark.parametrize(("prediction", "loss"), [("x0", "cross_entropy"), ("v", "l2"), ("epsilon", "l2")])
def test_a_step_is_that_of_the_diffusion_task_with_the_input_as_condition(prediction: str, loss: str) -> None:
    training = DiffusionConfig(SMALL, prediction=prediction, loss=loss)
    task, other = (
        ConditionalDiffusionTask(ConditionalDiffusionConfig(training), 3),
        DiffusionTask(training, 3),
    )
    batch = some_batch()
    found = task.step(batch, runtime(5))["loss"]
    assert found == other.step({"x0": batch["target"], "condition": batch["input"]}, runtime(5))["loss"]
    pairs = zip(task.generator.denoiser.parameters(), other.denoiser.parameters(), strict=True)
    assert all(torch.equal(a.grad, b.grad) for a, b in pairs if a.grad is not None)
    assert task.optimizers["generator"].param_groups[0]["params"] == list(task.generator.parameters())


def test_the_loss_is_the_formula_on_the_concatenated_image() -> None:
    """Written out: noise the target, put the input beside it as a second channel, compare with the target."""
    training = DiffusionConfig(SMALL, "linear", prediction="x0", loss="cross_entropy")
    task, batch, draw = (
        ConditionalDiffusionTask(ConditionalDiffusionConfig(training), 2),
        some_batch(),
        torch.Generator().manual_seed(7),
    )
    nn.init.normal_(task.generator.denoiser.exit.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    t = torch.randint(1000, (3,), generator=draw)
    noise = torch.randn(3, 1, 16, 16, generator=draw)
    bar = training.noise_schedule.alpha_bars[t].float().reshape(-1, 1, 1, 1)
    x_t = bar.sqrt() * batch["target"] + (1 - bar).sqrt() * noise
    logits = task.generator.denoiser(x_t, t, condition=batch["input"])
    wanted = F.binary_cross_entropy(torch.sigmoid(logits), (batch["target"] > 0).float())
    torch.testing.assert_close(task.step(batch, runtime(7))["loss"], wanted.detach())


def test_answers_have_the_spread_of_the_posterior() -> None:
    """y given x is Gaussian with a known mean and spread: so are the answers, and they differ from draw to
    draw.
    """
    predictor = exact_predictor(SamplerConfig("dpm++", 30, clip=False, rho=2.0))
    x = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(4))
    answers = predictor.answers(x, 40)
    assert answers.shape == (40, 2, 1, 32, 32)
    wanted = (x - 0.5) / 2 + 0.5  # condition / 2, in [0, 1]
    assert float((answers.mean(0) - wanted).abs().mean()) < 1.5 * 0.1 * 0.8 / 40**0.5
    assert float(answers.var(0).mean().sqrt()) == pytest.approx(0.1, rel=0.03)
    low, high = ensemble_interval(answers)
    further = predictor.answers(x, 20, seed=99)
    inside = ((further >= low) & (further <= high)).float().mean()
    assert float(inside) == pytest.approx(0.9, abs=0.01)


def test_few_steps_give_the_mean_and_too_narrow_a_spread() -> None:
    """With one step of the exact network an answer is the posterior mean, whatever the noise."""
    predictor = exact_predictor(SamplerConfig("ddim", 50, clip=False))
    x = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(4))
    spreads = {steps: float(predictor.answers(x, 8, steps=steps).std(0).mean()) for steps in (1, 3, 50)}
    assert spreads[1] < 2e-3 < spreads[3] < spreads[50]


def test_an_interval_covers_a_further_draw_with_its_probability() -> None:
    """Of any distribution: here a skewed one, and numbers of answers whose ranks are not whole."""
    draw = torch.Generator().manual_seed(0)
    for count, level in ((19, 0.9), (25, 0.9), (64, 0.9), (9, 0.8), (3, 0.5)):
        skewed = torch.randn(count + 1, 40_000, generator=draw).exp()
        low, high = ensemble_interval(skewed[:-1], level)
        inside = (low <= skewed[-1]) & (skewed[-1] <= high)
        assert float(inside.float().mean()) == pytest.approx(level, abs=0.01), count
    low, high = ensemble_interval(torch.arange(19.0), 0.9)
    assert (float(low), float(high)) == (0.0, 18.0)
    assert [fewest_answers(level) for level in (0.9, 0.8, 0.5)] == [19, 9, 3]
    with pytest.raises(DataError, match="90% needs at least 19 answers, and there are 18"):
        ensemble_interval(torch.zeros(18, 2))
    with pytest.raises(ConfigError, match="between 0 and 1"):
        ensemble_interval(torch.zeros(18, 2), 1.0)


def test_widened_intervals_hold_a_new_truth_with_their_probability() -> None:
    """Whatever is wrong with the intervals: here shifted and too narrow, by an amount that differs."""
    draw = torch.Generator().manual_seed(0)
    for count, level in ((9, 0.9), (99, 0.9), (40, 0.5)):
        truth = torch.randn(4000, count + 1, generator=draw).exp()
        low, high = truth.new_full((count + 1,), 0.5), truth.new_full((count + 1,), 0.9)
        more = torch.tensor([widening(low[1:], high[1:], known[1:], level) for known in truth])
        inside = (low[0] - more <= truth[:, 0]) & (truth[:, 0] <= high[0] + more)
        assert float(inside.float().mean()) == pytest.approx(
            math.ceil((count + 1) * level) / (count + 1), abs=0.02
        )
    three = torch.tensor([1.0, 2.0, 3.0])
    assert widening(three - 1, three + 1, three, 0.5) == -1  # too wide
    assert widening(three, three + 1, three + torch.tensor([1.0, 2.0, -3.0]), 0.5) == 1
    with pytest.raises(DataError, match="90% needs at least 9 known inputs, and there are 8"):
        widening(torch.zeros(8), torch.zeros(8), torch.zeros(8))
    with pytest.raises(ConfigError, match="between 0 and 1"):
        widening(three, three, three, 0.0)


def test_a_large_image_is_one_draw_and_its_seams_do_not_show() -> None:
    """Tiles follow one noise: the exact pixelwise network gives what it gives without tiles, and where tiles
    overlap the spread is whole (a mean of tiles drawn apart would have less).
    """
    predictor = exact_predictor(SamplerConfig("ddim", 10, clip=False))
    image = torch.rand(1, 40, 50, generator=torch.Generator().manual_seed(2))
    tiling = Tiling(40, 50, 32)
    extended = (tiling.extend(image) * 2 - 1)[None]
    generator = predictor.generator
    draws = [
        generator.draw(extended, torch.Generator().manual_seed(3), tiling=given) for given in (None, tiling)
    ]
    torch.testing.assert_close(draws[0], draws[1], atol=1e-5, rtol=0)
    whole = tiling.crop(draws[1][0] / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(predictor.translate_large(image, seed=3), whole)
    answers = predictor.answers_large(image, 3, seed=3)
    assert answers.shape == (3, 1, 40, 50)
    torch.testing.assert_close(answers[0], whole)
    assert float((answers[1] - answers[0]).abs().mean()) > 0.01


def test_a_trained_network_sees_tiles_of_its_own_size(run: Path) -> None:
    predictor, sizes = Predictor.load(run, CPU), []
    predictor.generator.denoiser.register_forward_pre_hook(lambda _, given: sizes.append(given[0].shape))
    assert predictor.translate_large(torch.rand(1, 40, 64)).shape == (1, 40, 64)
    assert {size[2:] for size in sizes} == {(32, 32)}


def test_seeds_of_answers(run: Path, images: Tensor) -> None:
    predictor = Predictor.load(run, CPU)
    assert predictor.varied
    three, five = predictor.answers(images, 3, seed=2), predictor.answers(images, 5, seed=2)
    assert torch.equal(three, five[:3])
    assert len({tuple(one.flatten()[:50].tolist()) for one in five}) == 5
    own = predictor.recipe.task.answers
    assert own > 1
    assert torch.equal(predictor.translate(images, seed=2), predictor.answers(images, own, seed=2).mean(0))
    assert not torch.equal(predictor.translate(images, seed=3), predictor.translate(images, seed=2))
    single = Predictor(predictor.generator, predictor.recipe, CPU)
    single.generator.config = replace(single.generator.config, answers=1)
    assert torch.equal(single.translate(images, seed=2), five[0])
    assert answer_seeds(2, 4)[1:] != answer_seeds(3, 4)[1:]


def test_steps_are_those_asked_for(run: Path, images: Tensor) -> None:
    calls: list[int] = []
    predictor = Predictor.load(run, CPU, steps=3)
    predictor.generator.denoiser.register_forward_hook(lambda *_: calls.append(1))
    predictor.answers(images, 2)
    predictor.answers(images, 2, steps=4)
    predictor.translate(images)
    assert len(calls) == 2 * 3 + 2 * 4 + 3 * predictor.recipe.task.answers
    for wrong in (0, 1001):
        with pytest.raises(DataError, match=f"{wrong} steps were asked of a diffusion model with 1000"):
            Predictor.load(run, CPU, steps=wrong)
    with pytest.raises(DataError, match="0 answers were asked for"):
        predictor.answers(images, 0)


def test_a_generator_without_noise_has_one_answer(images: Tensor) -> None:
    plain = recipe("sem2layout", "smoke")
    predictor = Predictor(build_generator(plain.one_way.generator), plain, CPU)
    assert torch.equal(predictor.answers(images, 1)[0], predictor.translate(images))
    with pytest.raises(DataError, match="a generator without noise, which has one"):
        predictor.answers(images, 2)
    with pytest.raises(DataError, match="translates in one evaluation; leave out --steps"):
        Predictor(predictor.generator, plain, CPU, steps=5)
    noisy = recipe("layout2sem", "smoke")
    predictor = Predictor(build_generator(noisy.one_way.generator), noisy, CPU)
    answers = predictor.answers(images, 2, seed=5)
    assert torch.equal(answers[0], predictor.translate(images, seed=5))
    assert not torch.equal(answers[0], answers[1])


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_three_and_three_steps_are_six_bit_for_bit_averages_included(direction: str, tmp_path: Path) -> None:
    plan = chosen(direction)
    batches = BatchSource(plan.data.pairs("train", direction), direction, plan.batch_size, 0)
    validate = validation_of(plan, plan.data.pairs("val", direction))
    ends = []
    for name, stops in (("whole", (None,)), ("parts", (3, None))):
        for until in stops:
            task, resume = build_task(plan), until is None and len(stops) > 1
            result = fit(
                task, batches, plan.fit, out=tmp_path / name, until=until, resume=resume, validate=validate,
                progress=False, device="cpu",
            )  # fmt: skip
        ends.append((task.generator.state_dict(), result.ema.state_dict()["generator"]))
    for whole, parts in zip(*ends, strict=True):
        assert all(torch.equal(value, parts[key]) for key, value in whole.items())
    assert not torch.equal(ends[0][0]["denoiser.entry.weight"], ends[0][1]["denoiser.entry.weight"])


def test_a_run_uses_the_averages_of_its_weights(run: Path, images: Tensor) -> None:
    from gantrans.training import load_checkpoint

    stored = load_checkpoint(run)
    predictor = Predictor.load(run, CPU)
    generator = build_generator(predictor.recipe.task)
    generator.load_state_dict(stored["ema"]["generator"])
    by_hand = Predictor(generator, predictor.recipe, CPU)
    assert torch.equal(predictor.translate(images), by_hand.translate(images))


def test_validation_is_a_few_draws_of_few_images(run: Path) -> None:
    plan, calls = chosen("layout2sem"), []
    pairs = plan.data.pairs("val", "layout2sem")
    task = build_task(plan)
    task.generator.eval().denoiser.register_forward_hook(lambda *_: calls.append(1))
    scores = DrawnValidation(pairs, "layout2sem", images=3, steps=2)(task)
    assert len(calls) == 2
    drawn = sample(
        task.training.model(condition=pairs.layout[:3] / 127.5 - 1.0), (3, 1, 32, 32), task.training.schedule,
        replace(plan.task.sampling, count=2), prediction="v", generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    drawn, real = ((drawn + 1) / 2).clamp(0, 1), unit_from_uint8(pairs.sem[:3])
    assert scores == pytest.approx(
        {"l1": float((drawn - real).abs().mean()), "spectrum": spectrum_error(drawn, real)}, abs=1e-5
    )
    assert {key for line in (run / "history.jsonl").read_text().splitlines() for key in eval(line)} >= {
        "val_iou",
        "val_l1",
        "loss",
    }


def test_it_learns_in_seconds() -> None:
    """A layout of which the image is a noisy copy: after 60 steps the mean answer is nearer to it than the
    image, and four answers together are better than one.
    """
    draw = torch.Generator().manual_seed(0)
    layout = torch.zeros(16, 1, 16, 16)
    for k in range(16):
        layout[k, :, :, k % 8 : k % 8 + 6] = 1.0
    sem = (0.3 * layout + 0.4 + 0.25 * torch.randn(16, 1, 16, 16, generator=draw)).clamp(0, 1)
    pairs = PairedDataset(
        (sem * 255).to(torch.uint8), (layout * 255).to(torch.uint8), ["a"] * 16, 20.0,
        [str(k) for k in range(16)],
    )  # fmt: skip
    plan = chosen("sem2layout")
    training = replace(plan.task.diffusion, network=SMALL, lr=1e-2)
    plan = replace(plan, task=replace(plan.task, diffusion=training), fit=replace(plan.fit, steps=60))
    task = build_task(plan)
    result = fit(task, BatchSource(pairs, "sem2layout", 8, 0), plan.fit, progress=False, device="cpu")
    with result.ema.applied():
        predictor = Predictor(task.generator, plan, CPU)
        answers = predictor.answers(unit_from_uint8(pairs.sem), 4)
    threshold = float(iou((sem > 0.55).float(), layout).mean())
    alone, mean = float(iou(answers[0], layout).mean()), float(iou(answers.mean(0), layout).mean())
    assert mean > max(0.9, threshold)
    assert mean >= alone


@pytest.mark.parametrize("scale", ["smoke", "reduced", "full"])
@pytest.mark.parametrize("name", ["transformer", "diffusion"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_recipes_compare_with_the_default(direction: str, name: str, scale: str) -> None:
    """Equal data, batches and steps, a network that fits the pairs, and a form that survives a checkpoint."""
    found, plain = recipe(direction, scale, name=name), recipe(direction, scale)
    assert (found.data, found.batch_size, found.fit.steps) == (plain.data, plain.batch_size, plain.fit.steps)
    check_sizes(found.task, found.data.size, found.batch_size)
    assert from_dict(Recipe, to_dict(found)) == found
    if name == "transformer":
        assert isinstance(found.one_way, Pix2PixConfig)
        assert found.one_way.discriminator is None
        return
    assert isinstance(found.task, ConditionalDiffusionConfig)
    assert (found.task.answers > 1) == (direction == "sem2layout")
    with pytest.raises(ConfigError, match="trained a diffusion model"):
        _ = found.one_way


def test_configurations_that_cannot_work_are_refused() -> None:
    for network in (DenoiserConfig(), VectorDenoiserConfig(2), replace(SMALL, classes=3)):
        with pytest.raises(ConfigError, match="condition_channels = 1 and classes = 0"):
            ConditionalDiffusionConfig(DiffusionConfig(network))
    with pytest.raises(ConfigError, match="has 20 steps, but the schedule has 10"):
        ConditionalDiffusionConfig(
            DiffusionConfig(replace(SMALL, steps=10), steps=10), SamplerConfig("ddim", 20)
        )
    with pytest.raises(ConfigError, match="answers"):
        ConditionalDiffusionConfig(answers=0)
    plan = chosen("sem2layout")
    with pytest.raises(ConfigError, match="Pairs of 34 px do not fit a denoiser of 2 levels"):
        check_sizes(plan.task, 34, 4)
    with pytest.raises(ConfigError, match="Pairs of 34 px do not fit a transformer with patches of 4 px"):
        check_sizes(recipe("sem2layout", "smoke", name="transformer").task, 34, 4)
