"""A network that answers is in evaluation mode: the same image twice, whatever else is in the batch.

Dropout and batch statistics make a network in training mode answer differently each time, for each company
of images, and move its running statistics. Every way to an answer is tried with a network left in training.
"""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from gantrans.config import to_dict
from gantrans.data import BatchSource, make_pairs, write_image
from gantrans.errors import DataError
from gantrans.images import unit_from_network, unit_from_uint8
from gantrans.networks import UNetConfig, UNetGenerator
from gantrans.training import FitConfig, fit
from gantrans.translation import (
    DataSpec,
    Pix2PixConfig,
    Pix2PixTask,
    Predictor,
    Recipe,
    Validation,
    evaluate_pairs,
    evaluate_run,
    predict_files,
    recipe,
)

NETWORK = UNetConfig(base_filters=4, n_down=3, dropout=0.5, dropout_blocks=2)
DATA = DataSpec(size=32, count=8, validation=4)


@pytest.fixture(scope="module")
def pairs():
    return make_pairs("procedural", split="test", size=32, count=6, difficulty="easy", progress=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run whose generator has dropout and batch norm, so that its mode shows."""
    folder = tmp_path_factory.mktemp("modes") / "run"
    chosen = Recipe("sem2layout", DATA, Pix2PixConfig(NETWORK, None), FitConfig(3, monitor="iou"), 4)
    train, validation = DATA.pairs("train", "sem2layout"), DATA.pairs("val", "sem2layout")
    fit(
        Pix2PixTask(chosen.task), BatchSource(train, "sem2layout", 4, 0), chosen.fit, out=folder,
        validate=Validation(validation, "sem2layout"), extra={"recipe": to_dict(chosen)}, progress=False,
    )  # fmt: skip
    return folder


def images(count: int = 4) -> torch.Tensor:
    return torch.rand(count, 1, 32, 32, generator=torch.Generator().manual_seed(0))


def in_training() -> UNetGenerator:
    """A generator whose running statistics differ from any batch's."""
    network = UNetGenerator(NETWORK, seed=3).train()
    with torch.no_grad():
        for _ in range(3):
            network(images(8) - 0.5)
    return network


def expected_of(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """One by one, in evaluation mode, without the library's translate."""
    network = copy.deepcopy(network).eval()
    with torch.no_grad():
        return torch.cat([(network(2 * x[i : i + 1] - 1) + 1) / 2 for i in range(len(x))])


def predictor_of(network: nn.Module) -> Predictor:
    return Predictor(network, recipe("sem2layout", "smoke"), torch.device("cpu"))  # type: ignore[arg-type]


def test_the_two_modes_of_this_network_differ():
    network, x = in_training(), images()
    with torch.no_grad():
        assert (unit_from_network(network(2 * x - 1)) - expected_of(network, x)).abs().max() > 0.1


def test_a_predictor_made_from_a_network_in_training_answers_in_evaluation_mode():
    network, x = in_training(), images()
    expected, before = expected_of(network, x), copy.deepcopy(network.state_dict())
    predictor = predictor_of(network)
    torch.testing.assert_close(predictor.translate(x), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(predictor.translate_large(x[0]), expected[0], atol=1e-5, rtol=0)
    assert torch.equal(predictor.translate(x), predictor.translate(x))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_loaded_predictor_answers_in_evaluation_mode(run: Path):
    predictor, x = Predictor.load(run, torch.device("cpu")), images()
    assert not any(module.training for module in predictor.generator.modules())
    expected = expected_of(predictor.generator, x)
    torch.testing.assert_close(predictor.translate(x), expected, atol=1e-5, rtol=0)


def test_files_are_translated_in_evaluation_mode(run: Path, tmp_path: Path):
    from gantrans.data import read_image

    write_image(tmp_path / "in.png", images(1)[0])
    written = read_image(tmp_path / "in.png")
    predict_files(run, tmp_path / "in.png", tmp_path / "out.png", device="cpu")
    expected = expected_of(Predictor.load(run, torch.device("cpu")).generator, written[None])[0]
    torch.testing.assert_close(read_image(tmp_path / "out.png"), expected, atol=0.51 / 255, rtol=0)


def test_pairs_are_evaluated_in_evaluation_mode(pairs):
    network = in_training()
    sem, layout = unit_from_uint8(pairs.sem), unit_from_uint8(pairs.layout)
    expected = (expected_of(network, sem) - layout).abs().mean()
    got = evaluate_pairs(predictor_of(network), pairs, "procedural", "test").mean("model", "l1")
    assert got == pytest.approx(float(expected), abs=1e-5)


def test_a_run_is_evaluated_in_evaluation_mode(run: Path):
    held_out = DATA.pairs("test", "sem2layout", 5)
    network = Predictor.load(run, torch.device("cpu")).generator
    expected = expected_of(network, unit_from_uint8(held_out.sem)) - unit_from_uint8(held_out.layout)
    got = evaluate_run(run, count=5, device="cpu").mean("model", "l1")
    assert got == pytest.approx(float(expected.abs().mean()), abs=1e-5)


def test_validation_while_training_is_in_evaluation_mode(monkeypatch):
    """The score in the history is that of evaluation mode, and training goes on in training mode."""
    task = Pix2PixTask(Pix2PixConfig(NETWORK, None))
    validation = DATA.pairs("val", "sem2layout")
    seen, modes = [], []
    judge = Validation(validation, "sem2layout")

    def validate(judged):
        free = UNetGenerator(NETWORK)
        free.load_state_dict(judged.generator.state_dict())
        seen.append(expected_of(free, unit_from_uint8(validation.sem)))
        return judge(judged)

    forward = task.generator.forward

    def noted(*args, **options):
        modes.append(task.generator.training)
        return forward(*args, **options)

    monkeypatch.setattr(task.generator, "forward", noted)
    source = BatchSource(DATA.pairs("train", "sem2layout"), "sem2layout", 4, 0)
    result = fit(task, source, FitConfig(4, validate_every=2), validate=validate, progress=False)
    layout = unit_from_uint8(validation.layout)
    scores = [record["val_l1"] for record in result.history.records if "val_l1" in record]
    wanted = [float((image - layout).abs().mean()) for image in seen]
    assert scores == pytest.approx(wanted, abs=1e-5)
    assert modes == [True, True, False, True, True, False]
    assert not task.generator.training


def test_a_file_is_overwritten_only_where_that_is_asked_for(run: Path, tmp_path: Path):
    write_image(tmp_path / "in.png", images(1)[0])
    (tmp_path / "out.png").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"out\.png exists"):
        predict_files(run, tmp_path / "in.png", tmp_path / "out.png", device="cpu")
    assert (tmp_path / "out.png").read_bytes() == b"mine"
    predict_files(run, tmp_path / "in.png", tmp_path / "out.png", overwrite=True, device="cpu")
    assert (tmp_path / "out.png").read_bytes()[:4] == b"\x89PNG"
    before = (tmp_path / "in.png").read_bytes()
    with pytest.raises(DataError, match="its own translation"):
        predict_files(run, tmp_path / "in.png", tmp_path / "in.png", overwrite=True, device="cpu")
    assert (tmp_path / "in.png").read_bytes() == before
