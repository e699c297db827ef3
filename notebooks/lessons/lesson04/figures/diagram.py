"""The shape of a U-Net: a drawing with every operation, and the table of its encoder."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from gantrans.networks import UNetConfig
from gantrans.networks.receptive_field import ConvLayer, receptive_field
from gantrans.networks.unet import shape_table
from gantrans.teaching.plots import COLOURS, Table, describe, new_figure, styled

DOWN, SKIP, UP = COLOURS[0], COLOURS[1], "#00785A"
LEFT, RIGHT, WIDE, HIGH = -2.1, 2.1, 1.5, 0.52


def encoder_table(config: UNetConfig, size: int) -> Table:
    """What each encoder block costs: its map, the numbers it holds, multiplications, what one place sees."""
    rows = []
    for k, row in enumerate(shape_table(config, size)[: config.n_down]):
        channels, height, width = row.output
        numbers = channels * height * width
        field = receptive_field([ConvLayer(4, 2, 1)] * (k + 1)).size
        rows.append(
            [
                str(k),
                f"{channels} x {height} x {width}",
                f"{numbers:,}",
                f"{16 * row.input[0] * numbers / 1e6:,.0f} million",
                f"{field} px",
            ]
        )
    header = ["level", "map (C x H x W)", "numbers in it", "multiplications", "one place sees"]
    return Table(header, rows, f"Encoder, {size} px image")


@styled
def unet_figure(config: UNetConfig, size: int) -> Figure:
    """The U with its operations: encoder on the left, decoder on the right, a row per size of the map."""
    n, table = config.n_down, shape_table(config, size)
    figure = new_figure(9.2, 0.72 * (n + 2.6))
    ax = figure.add_subplot()
    _box(ax, LEFT, 0.0, f"input {_shape(table[0].input)}", "white")
    for k, row in enumerate(table[: n - 1]):
        _box(ax, LEFT, -k - 1.0, _shape(row.output), _tint(DOWN))
        _arrow(ax, (LEFT, -k - HIGH / 2), (LEFT, -k - 1 + HIGH / 2), DOWN)
    _box(ax, 0.0, -n, _shape(table[n - 1].output), _tint(DOWN))
    _arrow(ax, (LEFT, 1 - n - HIGH / 2), (-WIDE / 2, -n), DOWN, "angle,angleA=-90,angleB=0,rad=6")
    _arrow(ax, (WIDE / 2, -n), (RIGHT, 1 - n - HIGH / 2), UP, "angle,angleA=0,angleB=90,rad=6")
    for k, row in enumerate(table[n:-1]):
        level = n - 2 - k
        own, height, width = row.output
        _decoder_box(ax, -level - 1.0, own, f"x {height} x {width}", skipped=row.after_skip is not None)
        _arrow(ax, (RIGHT, -level - 1 + HIGH / 2), (RIGHT, -level - HIGH / 2), UP)
        if row.after_skip is not None:
            _arrow(ax, (LEFT + WIDE / 2, -level - 1.0), (RIGHT - WIDE / 2, -level - 1.0), SKIP)
    _box(ax, RIGHT, 0.0, f"output {_shape(table[-1].output)}", "white")
    _words(ax, n)
    ax.set(xlim=(-3.1, 3.1), ylim=(-n - 2.1, 0.4))
    ax.set_axis_off()
    count = sum(config.skip_levels)
    shapes = ", ".join(_shape(row.output) for row in table)
    return _described(figure, ax, f"U-Net for {size} px, {count} skip connections; maps: {shapes}.")


def _words(ax: Axes, n: int) -> None:
    lines = (
        (DOWN, "down: Conv 4 x 4, stride 2 → batch norm (not in the first) → LeakyReLU 0.2"),
        (
            UP,
            "up: ConvTranspose 4 x 4, stride 2 → batch norm → dropout (two deepest) → ReLU; the last: → tanh",
        ),
        (SKIP, "skip: the encoder's map as it is, concatenated after the ReLU as further channels"),
    )
    for i, (colour, words) in enumerate(lines):
        ax.text(0, -n - 0.75 - 0.45 * i, f"→ {words}", color=colour, ha="center", va="center", fontsize=9)


def _box(ax: Axes, x: float, y: float, words: str, colour: str, width: float = WIDE) -> None:
    corner = (x - width / 2, y - HIGH / 2)
    ax.add_patch(Rectangle(corner, width, HIGH, facecolor=colour, edgecolor="#444444", linewidth=1))
    ax.text(x, y, words, ha="center", va="center", fontsize=9)


def _decoder_box(ax: Axes, y: float, own: int, sides: str, *, skipped: bool) -> None:
    """What the skip brings and, beside it, what the decoder has made."""
    width = WIDE / 2 if skipped else WIDE
    _box(ax, RIGHT + WIDE / 2 - width / 2, y, str(own), _tint(UP), width)
    if skipped:
        _box(ax, RIGHT - WIDE / 4, y, f"{own} +", _tint(SKIP), width)
    ax.text(RIGHT + WIDE / 2 + 0.06, y, sides, ha="left", va="center", fontsize=9)


def _arrow(
    ax: Axes, start: tuple[float, float], end: tuple[float, float], colour: str, style: str = "arc3"
) -> None:
    ax.add_patch(
        FancyArrowPatch(
            start, end, connectionstyle=style, arrowstyle="-|>", mutation_scale=12, color=colour,
            linewidth=1.6, shrinkA=0, shrinkB=1,
        )
    )  # fmt: skip


def _tint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{255 - (255 - c) // 5:02x}" for c in (red, green, blue))


def _shape(shape: tuple[int, int, int]) -> str:
    return " x ".join(map(str, shape))


def _described(figure: Figure, ax: Axes, words: str) -> Figure:
    describe(ax, words)
    return figure
