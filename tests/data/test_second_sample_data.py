"""Empty folders may be filled, cells have one stream, and blocks of clips have the stated size."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from gantrans.data import ClipConfig, clips, simulator
from gantrans.data.folder import write_folder
from gantrans.errors import DataError


def filled(text: str) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        (folder / "a.txt").write_text(text)

    return fill


def test_an_empty_folder_may_be_filled_and_a_filled_one_may_not(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    write_folder(target, filled("first"))
    assert (target / "a.txt").read_text() == "first"
    with pytest.raises(DataError, match="not empty"):
        write_folder(target, filled("second"))
    assert (target / "a.txt").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (ClipConfig(source="sky130"), [(0, 0), (0, 1), (0, 2)]),
        (ClipConfig(families=("jogs", "tip_to_tip")), [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]),
    ],
)
def test_cells_are_drawn_from_one_stream_and_families_in_turn(
    config: ClipConfig, expected: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def three(config: ClipConfig, split: str, seed: int, k: int, seen: set[bytes]) -> Iterator:
        yield from ((k, i) for i in range(3))

    monkeypatch.setattr(clips, "_new_clips", three)
    assert list(clips._different_clips(config, "train", 0)) == expected


@pytest.mark.parametrize(("budget", "sizes"), [(2, [2, 2, 1]), (0.5, [1] * 5), (5, [5])])
def test_clips_are_simulated_in_blocks_of_the_stated_number_of_pixels(
    budget: float, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def noted(images, layouts, config, seed, indices):
        assert len(images) == len(indices)
        seen.append(len(images))
        return images, 1 - images

    monkeypatch.setattr(simulator, "_simulate", noted)
    monkeypatch.setattr(simulator, "_CHUNK_PIXELS", int(budget * 8 * 8))
    image = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    found = simulator.simulate(SimpleNamespace(image=image), None, 0, range(5))  # type: ignore[arg-type]
    assert seen == sizes
    assert torch.equal(found.sem, image)
    assert torch.equal(found.printed, 1 - image)
