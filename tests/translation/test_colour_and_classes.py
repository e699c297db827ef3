"""Runs of colour and of classes: channels, gradients, learning, resuming, tiles, evaluation."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from gantrans.config import from_dict, to_dict
from gantrans.data import BatchSource, PairedDataset
from gantrans.data.encoding import Encoding
from gantrans.data.writing import write_image
from gantrans.directions import images_of
from gantrans.errors import ConfigError, DataError
from gantrans.networks import UNetConfig, UNetGenerator
from gantrans.training import Runtime, fit
from gantrans.translation import (
    DataSpec,
    Predictor,
    Recipe,
    Validation,
    build_task,
    evaluate_pairs,
    recipe,
    validation_of,
)
from gantrans.translation.classes import ClassesConfig, class_weights
from gantrans.translation.evaluate import FREQUENT
from gantrans.translation.presets import TRAININGS, style_of, with_channels

COLOUR = Encoding(colour=("input", "target"))
LABELS = Encoding(colour=("input",), classes=("0", "7", "9"))
CPU = torch.device("cpu")


def chosen(direction: str, encoding: Encoding, scale: str = "smoke", steps: int = 20) -> Recipe:
    """The recipe of a folder with such images, without the folder."""
    task, fitting = TRAININGS[style_of(direction), scale]()
    task = with_channels(task, encoding.channels, len(encoding.classes))
    data = DataSpec(size=32, pixel_nm=None, encoding=encoding)
    return Recipe(direction, data, task, replace(fitting, steps=steps, monitor=None), 4, 0)


def pairs_of(direction: str, count: int = 1, size: int = 32, seed: int = 0) -> PairedDataset:
    """Smooth colour images; the target is the image with its channels exchanged, or its strongest channel."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 5, 5, generator=generator)
    images = nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1)
    images = (images * 255).round().to(torch.uint8)
    labelled = direction == "image2classes"
    targets = images.argmax(1, keepdim=True).to(torch.uint8) if labelled else images.flip(1)
    names = [f"p{k}" for k in range(count)]
    classes = LABELS.classes if labelled else ()
    return PairedDataset(images, targets, ["user"] * count, None, names, images_of(direction), classes)


def trained(run: Recipe, pairs: PairedDataset, batches=BatchSource, **options):
    task = build_task(run)
    fit(task, batches(pairs, run.direction, 4, 0), run.fit, progress=False, device="cpu", **options)
    return task


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder of one pair; recipes open it and read no pixel."""
    root = tmp_path_factory.mktemp("pairs")
    for side in ("input", "target"):
        (root / side).mkdir()
        write_image(root / side / "one.png", torch.rand(3, 32, 32))
    return str(root)


@pytest.mark.parametrize("name", ["default", "transformer", "diffusion"])
@pytest.mark.parametrize("direction", ["image2image", "image2mask", "image2classes"])
def test_the_channels_of_networks_follow_the_images(folder: str, name: str, direction: str) -> None:
    encoding = {"image2image": COLOUR, "image2mask": Encoding(colour=("input",)), "image2classes": LABELS}
    if name == "diffusion" and direction == "image2classes":
        with pytest.raises(ConfigError, match="give --recipe default or"):
            recipe(direction, "smoke", folder, name=name, encoding=encoding[direction])
        return
    made = recipe(direction, "smoke", folder, name=name, encoding=encoding[direction])
    outputs = {"image2image": 3, "image2mask": 1, "image2classes": 3}[direction]
    x = torch.rand(2, 3, 32, 32)
    assert Predictor(build_task(made).generator, made, CPU).translate(x).shape == (2, outputs, 32, 32)
    assert from_dict(Recipe, to_dict(made)) == made


def test_what_does_not_fit_is_refused_in_a_sentence(folder: str) -> None:
    with pytest.raises(ConfigError, match="stored value of each class"):
        recipe("image2classes", "smoke", folder)
    with pytest.raises(ConfigError, match="--direction image2classes"):
        recipe("image2mask", "smoke", folder, encoding=Encoding(classes=("0", "1")))
    with pytest.raises(ConfigError, match="black and white"):
        recipe("image2mask", "smoke", folder, encoding=COLOUR)
    with pytest.raises(ConfigError, match="recipe article translates between grey"):
        recipe("both", "smoke", folder, name="article", encoding=COLOUR)


def test_networks_of_one_channel_are_those_of_before() -> None:
    """The same recipe with and without a stated encoding; the hashes are in `test_recipes_pinned`."""
    assert recipe("sem2layout", "smoke", encoding=Encoding()) == recipe("sem2layout", "smoke")
    assert "encoding" not in to_dict(recipe("sem2layout", "smoke").data)
    assert "output" not in to_dict(UNetConfig())


@pytest.mark.parametrize("style", ["grey", "image"])
def test_every_channel_gets_a_gradient(style: str) -> None:
    task, fitting = TRAININGS[style, "smoke"]()
    run = replace(chosen("image2image", COLOUR), task=with_channels(task, (3, 3)), fit=fitting)
    made = build_task(run)
    batch = BatchSource(pairs_of("image2image", 4), "image2image", 4, 0)(0)
    made.step(batch, Runtime(CPU, "fp32", 1, torch.Generator().manual_seed(0)))
    for network, count in ((made.generator, 3), (made.discriminator, 6)):
        if network is None:
            continue
        first = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
        weight = (
            first.parametrizations.weight.original
            if nn.utils.parametrize.is_parametrized(first)
            else (first.weight)
        )
        norms = weight.grad.flatten(2).norm(dim=2).sum(0)  # per input channel, folded or not
        assert len(norms) % count == 0
        assert (norms > 0).all()


@pytest.mark.parametrize("direction", ["image2image", "image2classes"])
def test_one_pair_is_learnt_by_heart(direction: str) -> None:
    """The exchange of channels cannot be learnt from luma, and neither can the strongest channel."""
    run = chosen(direction, COLOUR if direction == "image2image" else LABELS, steps=300)
    pairs = pairs_of(direction)
    scores = Validation(pairs, direction)(trained_in_evaluation(run, pairs))
    if direction == "image2image":
        assert scores["l1"] < 0.05
    else:
        assert scores["mean_iou"] > 0.93


def trained_in_evaluation(run: Recipe, pairs: PairedDataset):
    task = trained(run, pairs)
    task.generator.eval()
    return task


class Stopping(BatchSource):
    """Stands for Ctrl-C in the third step."""

    def __call__(self, step):
        if step == 2:
            raise KeyboardInterrupt
        return super().__call__(step)


def test_a_stopped_run_of_classes_goes_on_to_the_same_weights(tmp_path) -> None:
    pairs, run = pairs_of("image2classes", 6), chosen("image2classes", LABELS)
    run = replace(
        run, fit=replace(run.fit, steps=4, monitor="mean_iou", validate_every=2, checkpoint_every=2)
    )
    options = {"validate": validation_of(run, pairs)}
    whole = trained(run, pairs, out=tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        trained(run, pairs, batches=Stopping, out=tmp_path / "r", **options)
    parts = trained(run, pairs, out=tmp_path / "r", resume=True, **options)
    for a, b in zip(whole.generator.parameters(), parts.generator.parameters(), strict=True):
        assert torch.equal(a, b)


def test_rare_classes_weigh_more_when_balanced() -> None:
    target = torch.tensor([[[0, 0, 0, 1]]])
    assert class_weights(target, 2, 0.0) is None
    torch.testing.assert_close(class_weights(target, 2, 1.0), torch.tensor([4 / 3, 4.0]))
    with pytest.raises(ConfigError, match="give it logits"):
        ClassesConfig(UNetConfig())


class Shown(UNetGenerator):
    """A network of classes whose logits are the input's channels."""

    def forward(self, x, *, noise=None, skip_gains=None):
        return 50 * x


def test_classes_of_a_large_image_come_from_blended_probabilities() -> None:
    run = chosen("image2classes", LABELS)
    network = Shown(UNetConfig(in_channels=3, out_channels=3, n_down=2, base_filters=4, output="logits"))
    predictor = Predictor(network, run, CPU)
    image = torch.rand(3, 50, 71, generator=torch.Generator().manual_seed(3))
    found = predictor.classes_large(image)
    assert found.dtype == torch.uint8
    assert torch.equal(found[0], image.argmax(0).to(torch.uint8))
    with pytest.raises(DataError, match="has no classes"):
        Predictor(build_task(chosen("image2image", COLOUR)).generator, run, CPU).classes(
            image[None, :, :32, :32]
        )


def test_evaluation_of_classes_has_each_class_and_a_constant_answer() -> None:
    pairs, run = pairs_of("image2classes", 6), chosen("image2classes", LABELS)
    network = Shown(UNetConfig(in_channels=3, out_channels=3, n_down=2, base_filters=4, output="logits"))
    report = evaluate_pairs(Predictor(network, run, CPU), pairs, "pairs", "test")
    assert report.mean("model", "mean_iou") == pytest.approx(1.0)
    shares = torch.bincount(pairs.roles("image2classes")[1].flatten(), minlength=3) / (6 * 32 * 32)
    assert report.mean(FREQUENT, "accuracy") == pytest.approx(shares.max().item())
    assert report.mean(FREQUENT, "cross_entropy") == pytest.approx(-(shares * shares.log()).sum().item())
    plain = report.to_dict()
    assert plain["computed_on"] == "classes 0, 7, 9"
    assert plain["iou_by_class"]["model"]["all"] == pytest.approx({"0": 1.0, "7": 1.0, "9": 1.0, "mean": 1.0})
    frequent = str(LABELS.classes[int(shares.argmax())])
    assert plain["iou_by_class"][FREQUENT]["all"][frequent] == pytest.approx(shares.max().item())
    assert "IoU 7" in report.table().splitlines()[1]
    with pytest.raises(DataError, match="state the same classes"):
        evaluate_pairs(Predictor(network, run, CPU), replace(pairs, classes=("0", "1", "2")), "x", "test")


def test_evaluation_of_colour_says_what_it_compares() -> None:
    pairs, run = pairs_of("image2image", 3), chosen("image2image", COLOUR)
    predictor = Predictor(build_task(run).generator, run, CPU)
    report = evaluate_pairs(predictor, pairs, "pairs", "test")
    assert report.to_dict()["computed_on"] == "3 channels"
    assert "metrics of 3 channels" in report.table()
    expected = (pairs.a.float() - pairs.b.float()).abs().mean() / 255
    assert report.mean("input unchanged", "l1") == pytest.approx(expected.item(), rel=1e-5)
    grey_run = chosen("image2image", Encoding(colour=("target",)))
    grey_pairs = pairs.with_images(image=pairs.a[:, :1])
    predictor = Predictor(build_task(grey_run).generator, grey_run, CPU)
    assert evaluate_pairs(predictor, grey_pairs, "pairs", "test").baseline == "input in three channels"
