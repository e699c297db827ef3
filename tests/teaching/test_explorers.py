"""Explorers: pure figures over their grid, a strip for readers without a front end, a widget that redraws."""

import io

import numpy as np
import pytest
from PIL import Image

from gantrans.errors import ConfigError, GantransError
from gantrans.teaching import plots
from gantrans.teaching.explorers import Choice, Explorer, Slider, Toggle, explore, explorer, explorers


def wave(cycles: int, shape: str, noisy: bool):
    """A small real explorer: a wave of so many cycles."""
    x = np.linspace(0, 1, 100)
    y = np.sin(2 * np.pi * cycles * x)
    if shape == "square":
        y = np.sign(y)
    y = y + 0.1 * np.random.default_rng(0).normal(size=100) * noisy
    ax = plots.training_curves({shape: (x, y)}, quantity="height", unit="nm", title=f"{cycles} cycles")
    return ax


CONTROLS = (
    Slider("cycles", "cycles", 1, 9, 1, 3),
    Choice("shape", "shape", ("sine", "square"), "sine"),
    Toggle("noisy", "noise", False),
)


def test_grid_visits_ends_values_options_and_toggles_without_a_problem():
    made = explorer(wave, CONTROLS, title="Waves")
    states = list(made.grid())
    assert len(states) == 3 * 2 * 2
    assert {s["cycles"] for s in states} == {1, 3, 9}
    assert [p for s in states for p in made.problems(s)] == []
    assert explorers()["Waves"] is made


def test_problems_are_found():
    def bad(cycles: int):
        ax = plots.new_axes()
        ax.plot([0, 1], [np.nan, cycles])
        return ax

    found = " ".join(Explorer(bad, CONTROLS[:1], "Bad").problems({"cycles": 2}))
    assert "no alt text" in found
    assert "no label" in found
    assert "not finite" in found


def test_strip_shows_three_states_with_words_for_each(monkeypatch):
    monkeypatch.delenv("GANTRANS_HEADLESS")
    made = Explorer(wave, CONTROLS, "Waves")
    assert [s["cycles"] for s in made.states_of_strip()] == [1, 3, 9]
    strip = made.strip()
    data, metadata = strip._repr_mimebundle_()
    assert data["text/html"].startswith("<details><summary>Still pictures: Waves</summary>")
    assert metadata["image/png"]["alt"].startswith("Waves. cycles 1: 1 cycles against")
    assert "cycles 9: 9 cycles" in metadata["image/png"]["alt"]
    own = Explorer(wave, CONTROLS, "Waves", ({"noisy": False}, {"noisy": True}))
    assert "noise on: " in own.strip().alt


@pytest.mark.parametrize(("width", "columns"), [(3.0, 3), (4.5, 2), (9.4, 1)])
def test_stills_of_a_strip_are_as_sharp_as_the_figures_alone(width: float, columns: int):
    """The strip holds every picture pixel for pixel, in as many columns as a page shows without shrinking."""

    def draw(cycles: int):
        figure = plots.new_figure(width, 1.5)
        ax = figure.add_subplot()
        ax.plot([0, cycles], [0, 1])
        ax.set(xlabel="time (s)", ylabel="height (nm)")
        plots.describe(ax, f"{cycles} cycles")
        return figure

    made = Explorer(draw, CONTROLS[:1], "Waves")
    whole = pixels(made.strip())
    places = []
    for state in made.states_of_strip():
        alone = pixels(plots.picture(made.figure(state)))
        height, wide, _ = alone.shape
        corners = [(y, x) for y in range(len(whole) - height + 1) for x in (0, wide, 2 * wide)]
        places.append([c for c in corners if np.array_equal(whole[c[0] :, c[1] :][:height, :wide], alone)])
    assert [len(found) for found in places] == [1, 1, 1]
    assert len({x for [(_, x)] in places}) == columns
    assert whole.shape[1] == columns * wide <= 1000


def pixels(picture: plots.Picture) -> np.ndarray:
    """(H, W, 3) uint8."""
    return np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB"))


def test_controls_redraw_and_an_error_is_visible():
    calls = []

    def draw(cycles: int, noisy: bool):
        calls.append((cycles, noisy))
        return wave(cycles, "sine", noisy)

    made = Explorer(draw, (CONTROLS[0], CONTROLS[2]), "Waves")
    box = made.widget()
    slider, checkbox = box.children[0].children
    assert calls == [(3, False)]
    assert slider.continuous_update is False
    slider.value = 4
    checkbox.value = True
    assert calls == [(3, False), (4, False), (4, True)]


def test_an_error_in_the_figure_function_stops_the_cell():
    def broken(cycles: int):
        raise ZeroDivisionError("no wave")

    with pytest.raises(ZeroDivisionError, match="no wave"):
        explore(broken, CONTROLS[:1], title="Broken")


def test_wrong_controls_are_refused():
    with pytest.raises(ConfigError, match="low <= value <= high"):
        Slider("dose", "dose", 5, 10, 1, 3, "e/px")
    with pytest.raises(ConfigError, match="not in"):
        Choice("shape", "shape", ("sine",), "saw")
    with pytest.raises(GantransError, match="no control"):
        Explorer(wave, CONTROLS, "Waves").figure({"speed": 1})
