"""Figures: words for every picture, one display, colours that stay apart, spectra with the right units."""

import base64
import io
import itertools
import struct

import nbformat
import numpy as np
import pytest
from cut import cut_texts
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from gantrans.errors import GantransError
from gantrans.teaching import plots
from gantrans.teaching.plots.style import AGREE, EXTRA, MISSING, simulate

RNG = np.random.default_rng(3)
SQUARE = np.zeros((32, 32))
SQUARE[8:24, 8:20] = 1.0


def all_figures():
    steps = [0, 10, 20]
    psd = plots.radial_spectrum(RNG.random((4, 32, 32)), 20.0)
    seeds = {"skips": [0.81, 0.83, 0.8], "no skips": [0.64, 0.6, 0.66]}
    score = RNG.random((11, 11))
    return {
        "row": plots.image_grid([[SQUARE, SQUARE]], ["a", "b"], suptitle="Two", pixel_nm=20.0),
        "grid": plots.image_grid([[SQUARE] * 3, [SQUARE] * 2], ["x", "y", "z"], row_titles=["one", "two"]),
        "overlay": plots.overlay_axes(SQUARE, SQUARE.T).figure,
        "alignment": plots.alignment_figure(RNG.random((42, 42)), SQUARE, score, (3, 4)),
        "curves": plots.training_curves(
            {"G": (steps, [3, 2, 1]), "D": (steps, [1, 1, 1])}, quantity="loss"
        ).figure,
        "bars": plots.bars_with_intervals(seeds, quantity="IoU", intervals={"skips": (0.78, 0.85)}).figure,
        "levels": plots.contribution_figure({"16 x 16": [-0.2, -0.1]}, quantity="change of IoU").figure,
        "spectrum": plots.spectrum_figure({"real": psd, "fake": (psd[0], psd[1] / 10)}).figure,
    }


@pytest.fixture(scope="module")
def figures():
    return all_figures()


def test_every_figure_has_words_made_from_its_data_and_fits_a_cell(figures):
    for name, figure in figures.items():
        assert len(plots.alt_text(figure)) > 20, name
        assert figure.get_size_inches()[0] <= 10, name
        assert "nan" not in plots.alt_text(figure).lower(), name
    assert "skips 0.813 (interval 0.78 to 0.85)" in plots.alt_text(figures["bars"])
    assert "fake -10.0 dB" in plots.alt_text(figures["spectrum"])
    assert "row 3, column 4" in plots.alt_text(figures["alignment"])
    assert "G goes from 3 to 1" in plots.alt_text(figures["curves"])


@pytest.mark.parametrize("suptitle", ["", "Two", "Two\nlines"])
@pytest.mark.parametrize("pixel_nm", [None, 20.0])
@pytest.mark.parametrize(("columns", "size"), [(2, 1.0), (4, 2.0), (6, 1.35)])
def test_no_title_of_a_grid_is_cut_off(suptitle, pixel_nm, columns, size):
    titles = [f"{i}\nof all" if suptitle else f"{i}" for i in range(columns)]
    for rows in (1, 3):
        images = [[SQUARE] * columns] * rows
        figure = plots.image_grid(images, titles, suptitle=suptitle, pixel_nm=pixel_nm, size=size)
        assert cut_texts(figure) == []


def test_number_axes_carry_names_and_units(figures):
    for name in ("curves", "spectrum"):
        (ax,) = figures[name].axes
        assert ax.get_xlabel(), name
        assert ax.get_ylabel(), name
    assert figures["spectrum"].axes[0].get_xlabel().endswith("(1/µm)")
    styles = {
        (line.get_linestyle(), line.get_marker(), line.get_color())
        for line in figures["curves"].axes[0].lines
    }
    assert len(styles) == 2
    assert len({s[1] for s in styles}) == 2


def test_a_given_axes_is_used_and_returned():
    ax = Figure().add_subplot()
    assert plots.training_curves({"a": ([0, 1], [1, 2])}, quantity="loss", unit="nm", ax=ax) is ax
    assert ax.get_ylabel() == "loss (nm)"


def test_overlay_counts_what_is_missing_and_what_is_extra():
    target = np.zeros((10, 10))
    target[2:6, 2:6] = 1
    prediction = np.zeros((10, 10))
    prediction[2:6, 4:7] = 1
    ax = plots.overlay_axes(prediction, target)
    assert ax.gantrans_alt == "Overlay: IoU 0.400; missing 8.0%, extra 4.0% of the pixels."
    shown = np.asarray(ax.images[0].get_array())
    assert np.allclose(shown[3, 2], to_rgb(MISSING))
    assert np.allclose(shown[3, 6], to_rgb(EXTRA))
    assert np.allclose(shown[3, 4], to_rgb(AGREE))


def test_scale_bar_has_a_round_length_in_nanometres():
    ax = plots.image_axes(SQUARE, pixel_nm=20.0)
    assert [t.get_text() for t in ax.texts] == ["100 nm"]
    x = ax.lines[0].get_xdata()
    assert np.ptp(x) * 20.0 == pytest.approx(100.0)


@pytest.mark.parametrize("inches", [1.6, 2.6])
def test_a_scale_bar_is_as_wide_as_it_says_and_hides_no_corner(inches):
    figure = plots.image_grid([[np.zeros((64, 64))] * 2] * 2, pixel_nm=20.0, size=inches)
    figure.canvas.draw()
    ax, beneath = figure.axes[0], figure.axes[2]
    box, panel = ax.texts[0].get_window_extent(), ax.get_window_extent()
    assert panel.x0 < box.x0 < box.x1 < panel.x1
    assert beneath.get_window_extent().y1 < box.y0 < box.y1 < panel.y0
    bar = ax.lines[0].get_window_extent()
    assert box.x1 < bar.x0
    assert bar.width == pytest.approx(panel.width * 10 / 64, rel=0.3)  # 200 of 1,280 nm; caps add a little


def test_spectrum_of_white_noise_is_flat_and_integrates_to_the_variance():
    noise = np.random.default_rng(0).normal(0, 0.1, (64, 32, 32))
    frequency, density = plots.radial_spectrum(noise, 20.0)
    assert frequency[-1] < 25.0 < frequency[-1] + np.diff(frequency)[0]  # Nyquist of 20 nm is 25 per µm
    assert density[2:] == pytest.approx(np.full(density.size - 2, 0.01 * 0.02**2), rel=0.15)


@pytest.mark.parametrize("sight", [None, "protan", "deutan", "tritan"])
def test_colours_stay_apart_for_every_kind_of_sight(sight):
    for colours, least in ((plots.COLOURS[:4], 19.0), (plots.COLOURS, 17.0), ((AGREE, MISSING, EXTRA), 20.0)):
        lab = rgb2lab(simulate([to_rgb(c) for c in colours], sight))
        distances = [
            deltaE_ciede2000(lab[i], lab[j]) for i, j in itertools.combinations(range(len(colours)), 2)
        ]
        assert min(distances) > least


def test_simulated_sight_keeps_greys():
    assert simulate([0.5, 0.5, 0.5], "deutan") == pytest.approx([0.5, 0.5, 0.5], abs=2e-3)


def test_a_picture_carries_its_words_in_both_forms_and_is_the_same_twice(monkeypatch):
    monkeypatch.delenv("GANTRANS_HEADLESS")
    figure = plots.image_grid([[SQUARE]])
    picture = plots.picture(figure, 'a "square" & more')
    data, metadata = picture._repr_mimebundle_()
    assert metadata == {"image/png": {"alt": 'a "square" & more'}}
    assert 'alt="a &quot;square&quot; &amp; more"' in data["text/html"]
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    width = struct.unpack(">I", picture.png[16:20])[0]
    assert width <= 1000
    assert plots.picture(plots.image_grid([[SQUARE]]), "x").png == picture.png


def test_a_figure_without_words_is_refused():
    with pytest.raises(GantransError, match="has no alt text"):
        plots.show(Figure())


def test_show_displays_once_and_closes_a_pyplot_figure(capsys):
    import matplotlib.pyplot as plt

    plt.switch_backend("Agg")
    figure, _ = plt.subplots()
    plots.show(figure, "nothing yet")
    assert plt.get_fignums() == []
    assert capsys.readouterr().out == "[figure] nothing yet\n"


def test_committed_form_drops_the_twin_and_readable_form_restores_it(monkeypatch):
    monkeypatch.delenv("GANTRANS_HEADLESS")
    data, metadata = plots.picture(plots.image_grid([[SQUARE]]), "a square")._repr_mimebundle_()
    output = nbformat.v4.new_output("display_data", data=data, metadata=metadata)
    table = nbformat.v4.new_output("display_data", data={"text/html": "<table>"})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=[output, table])])
    inside = {"state": {"outputs": [dict(output, data=dict(data))]}}
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {"a": inside}}}
    plots.committed_form(notebook)
    assert "text/html" not in notebook.cells[0].outputs[0].data
    assert "text/html" in notebook.cells[0].outputs[1].data
    assert "text/html" not in str(notebook.metadata)
    plots.readable_form(notebook)
    assert notebook.cells[0].outputs[0].data["text/html"] == data["text/html"]
    assert plots.figures_without_alt(notebook) == []
    notebook.cells[0].outputs[0].metadata = {}
    assert len(plots.figures_without_alt(notebook)) == 1


def test_lighter_form_shrinks_noisy_pictures_and_changes_no_grey():
    noise = np.random.default_rng(0).random((96, 96))
    data, metadata = plots.picture(plots.image_grid([[noise]], size=2.1), "noise")._repr_mimebundle_()
    output = nbformat.v4.new_output("display_data", data=dict(data), metadata=metadata)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=[output])])
    shown = notebook.cells[0].outputs[0].data
    plots.lighter_form(notebook)
    once = shown["image/png"]
    before, after = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(p))).convert("RGB"))
        for p in (data["image/png"], once)
    )
    assert np.abs(before.astype(int) - after).max() <= 3
    assert len(once) < 0.9 * len(data["image/png"])
    plots.lighter_form(notebook)
    assert shown["image/png"] == once


def test_a_small_palette_keeps_the_colours_that_mean_something(monkeypatch):
    monkeypatch.setattr("gantrans.teaching.plots.display.MOST_PICTURES", 1)
    noise = np.random.default_rng(0).random((96, 96))
    target = np.zeros((64, 64))
    target[8:24, 8:24] = 1.0
    figure = plots.image_grid([[noise] * 3], size=2.1)
    plots.overlay_axes(np.roll(target, 2, 1), target, ax=figure.axes[2])
    data, metadata = plots.picture(figure, "errors beside noise")._repr_mimebundle_()
    output = nbformat.v4.new_output("display_data", data=dict(data), metadata=metadata)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=[output])])
    png = base64.b64decode(plots.lighter_form(notebook).cells[0].outputs[0].data["image/png"])
    shown = {colour for _, colour in Image.open(io.BytesIO(png)).convert("RGB").getcolors()}
    assert len(shown) <= 48
    for colour in (MISSING, EXTRA):
        assert tuple(round(255 * v) for v in to_rgb(colour)) in shown


def test_many_pictures_get_a_smaller_palette(monkeypatch):
    noise = np.random.default_rng(0).random((96, 96))
    data, metadata = plots.picture(plots.image_grid([[noise]], size=2.1), "noise")._repr_mimebundle_()

    def colours(most):
        monkeypatch.setattr("gantrans.teaching.plots.display.MOST_PICTURES", most)
        output = nbformat.v4.new_output("display_data", data=dict(data), metadata=metadata)
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=[output] * 2)])
        png = base64.b64decode(plots.lighter_form(notebook).cells[0].outputs[0].data["image/png"])
        return len(Image.open(io.BytesIO(png)).getcolors())

    assert colours(10**6) > 128
    assert colours(3 * len(data["image/png"]) // 2) == 128  # two pictures, each a third smaller than the PNG
    assert colours(1) == 48


def test_metric_table_reads_as_html_and_as_text():
    table = plots.metric_table(
        {"ours": {"IoU": 0.8412, "EPE": 11.0}, "Otsu": {"IoU": 0.55}}, units={"EPE": "nm"}
    )
    assert str(table).splitlines()[0] == "|  | IoU | EPE (nm) |"
    assert str(table).splitlines()[2:] == ["| ours | 0.841 | 11.0 |", "| Otsu | 0.550 | - |"]
    assert '<th scope="row">Otsu</th><td>0.550</td><td>-</td>' in table._repr_html_()
