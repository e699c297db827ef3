"""The figure of the two-valued toy, which lesson 07 shows as well: what a network learns of two answers."""

from collections.abc import Mapping

from matplotlib.figure import Figure
from torch import Tensor

from gantrans.teaching.plots import image_grid, styled
from lessons.lesson04.experiments.pixel_losses import best_answer, two_answers


@styled
def toy_figure(trained: Mapping[str, Tensor], p_wide: float) -> Figure:
    """The two right answers, and for each loss the answer by theory and the one that was learnt."""
    narrow, wide = two_answers()
    images, titles = [narrow, wide], [f"answer in {1 - p_wide:.0%}", f"answer in {p_wide:.0%}"]
    for loss, output in trained.items():
        images += [best_answer(loss, p_wide), output]
        titles += [f"{loss}: theory", f"{loss}: learnt"]
    return image_grid([images], titles, size=1.55)
