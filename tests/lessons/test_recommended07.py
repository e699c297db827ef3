"""The picture of what the layout -> SEM recipe makes: right images in right columns, right numbers."""

import numpy as np
import pytest
import torch

from gantrans.teaching.plots.style import alt_text
from lessons.lesson07.experiments.loss_weights import TestSet
from lessons.lesson07.figures.recommended import numbers_of, recommended_figure

SCORES = {"diversity": 0.09, "spectrum": 0.34, "PSNR": 17.46}
REAL = {"diversity": 0.1, "spectrum": 0.08, "PSNR": 17.4}


def test_the_spread_is_a_share_of_the_real_one() -> None:
    assert numbers_of(SCORES, REAL) == (
        "spectrum error 0.34 dB, spread of draws 0.90 of the real one, PSNR 17.5 dB "
        "(a second real image: 17.4 dB)"
    )


@pytest.mark.parametrize("picked", [(0,), (2, 1)])
def test_every_image_is_in_its_column(picked: tuple[int, ...]) -> None:
    def flat(level: int) -> torch.Tensor:
        """Image i has the grey value level + i."""
        return (level + torch.arange(3).view(3, 1, 1, 1)).expand(3, 1, 8, 8).to(torch.uint8)

    test = TestSet(flat(0), flat(50), flat(100))
    figure = recommended_figure(test, [flat(150) / 255, flat(200) / 255], SCORES, REAL, picked)
    shown = [round(255 * float(np.asarray(ax.images[0].get_array()).mean())) for ax in figure.axes]
    assert shown == [level + i for i in picked for level in (0, 50, 100, 150, 200)]
    assert "Over all 3 layouts: spectrum error 0.34 dB" in alt_text(figure)
