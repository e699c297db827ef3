"""The figures of lesson 16's part on text: captions, what a prompt draws, agreement, who looks at a word."""

import textwrap
from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.teaching.plots import COLOURS, MARKERS, describe, image_axes, new_figure, styled
from lessons.lesson16.captions import PARAMETERS, PIXEL_NM, Layout, read

RIGHT, WRONG = COLOURS[0], COLOURS[1]
LINE = 0.14
"""The height of a line of small text, in inches."""


@styled
def captions_figure(clips: Tensor, captions: Sequence[str]) -> Figure:
    """Clips (N, 1, 32, 32), -1 or 1, in one row, each under its caption."""
    wrapped = [textwrap.wrap(caption, 21) for caption in captions]
    figure = new_figure(9.4, 9.4 / len(clips) + 0.3 + LINE * max(map(len, wrapped)))
    axes = figure.subplots(1, len(clips), squeeze=False)[0]
    for i, (ax, clip, caption) in enumerate(zip(axes, clips, captions, strict=True)):
        image_axes(clip, ax=ax, limits=(-1, 1), pixel_nm=PIXEL_NM if i == 0 else None)
        ax.set_anchor("N")
        ax.set_title("\n".join(wrapped[i]), fontsize="small")
        describe(ax, f"Clip {i + 1}: {caption}.")
    return figure


@styled
def prompt_figure(drawn: Tensor, asked: Layout, prompt: str) -> Figure:
    """Clips (N, 1, 32, 32) in [-1, 1] drawn for one prompt; below a clip, what was read otherwise than asked.

    Args:
        asked: what the prompt says; None leaves a parameter open.
    """
    wrong = [difference(asked, layout) for layout in read(drawn)]
    figure = new_figure(9.4, 9.4 / len(drawn) + 0.5 + LINE * max(1, *map(len, wrong)))
    for ax, clip, said in zip(figure.subplots(1, len(drawn), squeeze=False)[0], drawn, wrong, strict=True):
        image_axes(clip, ax=ax, limits=(-1, 1))
        ax.set_anchor("N")  # what is left of the height is for the words below
        for spine in ax.spines.values():
            spine.set(color=WRONG if said else RIGHT, linewidth=2.0)
        ax.set_xlabel("\n".join(said) if said else "as asked", fontsize="small")
        describe(ax, "")
    right = sum(not said for said in wrong)
    figure.suptitle(f"“{prompt}”: {right} of {len(drawn)} as asked")
    words = "; ".join(f"clip {i + 1}: {', '.join(said)}" for i, said in enumerate(wrong) if said)
    describe(figure.axes[0], f"Read otherwise: {words}." if words else "All were read as asked.")
    return figure


def difference(asked: Layout, found: Layout) -> list[str]:
    """In words, the parameters in which a clip differs from what was asked, for example "1 jog"."""
    if found.lines is None:
        return ["no whole line"]
    lines = []
    for name in PARAMETERS:
        want, got = getattr(asked, name), getattr(found, name)
        if want is not None and want != got:
            lines.append(_words(name, got))
    return lines


def _words(name: str, value: int | str | None) -> str:
    if value is None:
        return "something else"  # neither line nor contact
    if name == "width":
        return f"{value} nm"
    return str(value) if name == "orientation" else f"{value} {name if value != 1 else name[:-1]}"


@styled
def agreement_figure(rows: Mapping[str, Mapping[str, float]]) -> Figure:
    """Share of clips that show what was asked for, by parameter and for all five at once, a line per row.

    Args:
        rows: {name: {parameter or "all": share}}, as `captions.agreement` gives it.
    """
    figure = new_figure(8.0, 3.2)
    ax = figure.subplots()
    names = [*PARAMETERS, "all"]
    for i, (label, shares) in enumerate(rows.items()):
        values = [100 * shares[name] for name in names]
        places = torch.arange(len(names)) + 0.12 * (i - (len(rows) - 1) / 2)
        ax.plot(
            places, values, linestyle="none", marker=MARKERS[i], markersize=8, color=COLOURS[i], label=label
        )
    ax.set_xticks(range(len(names)), [*PARAMETERS, "all five"])
    ax.set(ylabel="clips as asked (%)", xlabel="parameter read from the clip", ylim=(-3, 103))
    figure.legend(loc="outside lower center", ncols=len(rows))
    words = "; ".join(
        f"{label}: {', '.join(f'{name} {100 * shares[name]:.0f} %' for name in names)}"
        for label, shares in rows.items()
    )
    return _described(ax, f"Clips as asked. {words}.")


def _described(ax: Axes, words: str) -> Figure:
    describe(ax, words)
    figure = ax.figure
    assert isinstance(figure, Figure)
    return figure
