"""Layout -> SEM by the course's recipe: what it makes, twice, beside two real images, with its numbers."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from torch import Tensor

from gantrans.images import unit_from_uint8
from gantrans.teaching.plots import describe, image_grid, styled
from lessons.lesson07.experiments import loss_weights


def numbers_of(scores: Mapping[str, float], real: Mapping[str, float]) -> str:
    """One line: spectrum error, spread of draws as a share of the real one, PSNR.

    Args:
        scores, real: what `loss_weights.judge` gives for the images made and for a second real image of each
            layout.
    """
    share = scores["diversity"] / real["diversity"]
    return (
        f"spectrum error {scores['spectrum']:.2f} dB, spread of draws {share:.2f} of the real one, "
        f"PSNR {scores['PSNR']:.1f} dB (a second real image: {real['PSNR']:.1f} dB)"
    )


@styled
def recommended_figure(
    test: loss_weights.TestSet,
    made: Sequence[Tensor],
    scores: Mapping[str, float],
    real: Mapping[str, float],
    picked: Sequence[int],
    size: float = 1.6,
) -> Figure:
    """A row per layout: the layout, two real images of it, and two draws of the generator.

    Args:
        made: two draws of the injected noise, each (N, 1, S, S) in [0, 1], of the test layouts.
        scores, real: see `numbers_of`; of all test layouts.
        picked: the layouts to show.
    """
    columns = {
        "layout": unit_from_uint8(test.layout),
        "real SEM": unit_from_uint8(test.sem),
        "real, again": unit_from_uint8(test.another),
        "made": made[0],
        "made, again": made[1],
    }
    rows = [[images[i] for images in columns.values()] for i in picked]
    words = numbers_of(scores, real)
    title = words.replace(", PSNR", ",\nPSNR")
    figure = image_grid(rows, list(columns), suptitle=title, pixel_nm=loss_weights.PIXEL_NM, size=size)
    shown = ", ".join(map(str, picked))
    describe(
        figure.axes[0],
        f"Layouts {shown} of the test set, two real images of each and two draws of the generator. Over all "
        f"{len(test.sem)} layouts: {words}.",
    )
    return figure
