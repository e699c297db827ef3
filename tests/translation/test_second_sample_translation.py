"""Seeds of the networks, what a buffer stores, what is left as it was, and the pixel size of a source."""

from types import SimpleNamespace

import pytest
import torch

from gantrans.networks import PatchGAN, PatchGANConfig, UNetConfig, UNetGenerator
from gantrans.translation import BidirectionalConfig, BidirectionalTask, evaluate, sources
from gantrans.translation.buffer import ImageBuffer
from gantrans.translation.diagnostics import _numbers
from gantrans.translation.losses import ADVERSARIAL_LOSSES, AdversarialLoss

NETWORK = UNetConfig(base_filters=4, n_down=3, dropout=0.0)
CRITIC = PatchGANConfig(base_filters=4, n_layers=2)


@pytest.mark.parametrize("seed", [1, 2])
def test_every_network_of_a_task_has_a_seed_of_its_own(seed: int) -> None:
    task = BidirectionalTask(BidirectionalConfig(NETWORK, NETWORK, CRITIC), seed)
    for place, name in enumerate(("a", "b", "d_a", "d_b")):
        own = UNetGenerator(NETWORK, 4 * seed + place) if place < 2 else PatchGAN(CRITIC, 4 * seed + place)
        torch.testing.assert_close(task.networks[name].state_dict(), own.state_dict(), rtol=0, atol=0)


def test_a_buffer_keeps_no_graph() -> None:
    buffer = ImageBuffer(2)
    condition, fake = (torch.ones(3, 1, 4, 4, requires_grad=True) for _ in range(2))
    for _ in range(4):
        buffer.exchange(2 * condition, 3 * fake)
    assert len(buffer.pairs) == 2
    assert not any(half.requires_grad for pair in buffer.pairs for half in pair)


@pytest.mark.parametrize("kind", ADVERSARIAL_LOSSES)
def test_a_score_leaves_the_logits_as_they_were(kind: str) -> None:
    logits = torch.tensor([-2.0, 0.0, 1.5])
    AdversarialLoss(kind).score(logits)
    assert logits.tolist() == [-2.0, 0.0, 1.5]


def test_a_number_that_the_last_record_lacks_is_left_out() -> None:
    logged = [{"d_accuracy": 0.5 + 0.1 * (-1) ** i, "spread": 0.2, "gradient_gan": 1.0} for i in range(6)]
    assert _numbers(logged)["spread"] == pytest.approx(0.2)
    del logged[-1]["spread"]
    numbers = _numbers(logged)
    assert "spread" not in numbers
    assert "ratio" not in numbers
    assert numbers["gradient"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("source", "given", "stated"),
    [("procedural", None, 4.0), ("sky130", None, 4.0), ("procedural", 5.0, 5.0), ("folder", None, None),
     ("folder", 5.0, 5.0)],
)  # fmt: skip
def test_a_simulated_source_has_the_runs_pixel_size_unless_told(source, given, stated, monkeypatch) -> None:
    monkeypatch.setattr(sources, "folder_manifest", lambda source: {})
    trained = sources.DataSpec(size=32, count=8, pixel_nm=4.0)
    chosen = sources.held_out(trained, source, pixel_nm=given)
    assert (chosen.source, chosen.pixel_nm, chosen.size) == (source, stated, 32)


def test_the_pairs_of_a_source_share_nothing_with_the_other_splits(
    monkeypatch,
) -> None:
    made: list[tuple[str, ...]] = []

    class Spec:
        source = "any"

        def pairs(self, split: str, direction: str, count: int) -> object:
            return SimpleNamespace(pixel_nm=4.0)

        def check(self, *splits: str) -> None:
            made.append(splits)

    recipe = SimpleNamespace(data=SimpleNamespace(pixel_nm=4.0), direction="sem2layout")
    predictor = SimpleNamespace(load=lambda *a, **k: SimpleNamespace(recipe=recipe))
    monkeypatch.setattr(evaluate, "Predictor", predictor)
    monkeypatch.setattr(evaluate, "held_out", lambda *a, **k: Spec())
    monkeypatch.setattr(evaluate, "check_pixel_size", lambda *a: None)
    monkeypatch.setattr(evaluate, "_choose", lambda *a: None)
    monkeypatch.setattr(evaluate, "evaluate_pairs", lambda *a, **k: "done")
    assert evaluate.evaluate_run("run", "procedural") == "done"
    assert [set(splits) for splits in made] == [{"train", "val"}]
