"""Explorers: controls over a pure figure function.

The figure function takes one keyword per control and returns a figure; it is tested over its grid without a
front end. In a live notebook the controls redraw it; the same cell always carries a strip of still pictures
too, which is what GitHub and a rendered page show (a live front end folds it away).
"""

import io
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gantrans.errors import ConfigError, GantransError
from gantrans.teaching.plots.display import Picture, picture
from gantrans.teaching.plots.style import STYLE, alt_text, figure_of, styled

WIDEST_PX = 1000
"""How wide a row of still pictures may be: a page shrinks what is wider than its column."""
LINE_PX = 30
"""Height of the title and of a caption in a strip of still pictures."""


@dataclass(frozen=True)
class Slider:
    """A number between `low` and `high` in steps; drag it, or focus it and use the arrow keys."""

    name: str
    label: str
    low: float
    high: float
    step: float
    value: float
    unit: str = ""

    def __post_init__(self) -> None:
        if not (self.low < self.high and self.step > 0 and self.low <= self.value <= self.high):
            raise ConfigError(
                f"Slider {self.name!r} needs low <= value <= high and a step above 0; it is {self}."
            )

    def states(self) -> tuple[float, ...]:
        """Its two ends and its value, in order: what the tests and the strip visit."""
        return tuple(sorted({self.low, self.value, self.high}))

    def words(self, value: float) -> str:
        """The state in words, with its unit."""
        return f"{self.label} {value:g} {self.unit}".strip()

    def widget(self) -> Any:
        """The ipywidgets control; it reports a change when the handle is let go, not while it moves."""
        import ipywidgets

        whole = all(float(v).is_integer() for v in (self.low, self.high, self.step, self.value))
        kind, number = (ipywidgets.IntSlider, int) if whole else (ipywidgets.FloatSlider, float)
        label = f"{self.label} ({self.unit})" if self.unit else self.label
        return kind(
            number(self.value), min=number(self.low), max=number(self.high), step=number(self.step),
            description=label, continuous_update=False, **_wide(ipywidgets),
        )  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """One of several options."""

    name: str
    label: str
    options: tuple[Any, ...]
    value: Any

    def __post_init__(self) -> None:
        if self.value not in self.options:
            raise ConfigError(
                f"Choice {self.name!r} has the value {self.value!r}, which is not in {self.options}."
            )

    def states(self) -> tuple[Any, ...]:
        """All options."""
        return self.options

    def words(self, value: Any) -> str:
        """The state in words."""
        return f"{self.label} {value}"

    def widget(self) -> Any:
        """The ipywidgets control."""
        import ipywidgets

        return ipywidgets.Dropdown(
            options=[(str(o), o) for o in self.options],
            value=self.value,
            description=self.label,
            **_wide(ipywidgets),
        )


@dataclass(frozen=True)
class Toggle:
    """On or off."""

    name: str
    label: str
    value: bool = True

    def states(self) -> tuple[bool, ...]:
        """Off and on."""
        return (False, True)

    def words(self, value: bool) -> str:
        """The state in words."""
        return f"{self.label} {'on' if value else 'off'}"

    def widget(self) -> Any:
        """The ipywidgets control."""
        import ipywidgets

        return ipywidgets.Checkbox(value=self.value, description=self.label, **_wide(ipywidgets))


Control = Slider | Choice | Toggle
State = dict[str, Any]
Draw = Callable[..., Figure | Axes]


@dataclass(frozen=True)
class Explorer:
    """A figure function with its controls; `strip_states` are the 3 to 5 states of the still pictures."""

    draw: Draw
    controls: tuple[Control, ...]
    title: str
    strip_states: tuple[Mapping[str, Any], ...] = ()

    def default(self) -> State:
        """The state in which it opens."""
        return {c.name: c.value for c in self.controls}

    def grid(self) -> Iterator[State]:
        """Every combination of the controls' states (ends and value of a slider, all options, off and on)."""
        names = [c.name for c in self.controls]
        for values in itertools.product(*(c.states() for c in self.controls)):
            yield dict(zip(names, values, strict=True))

    def words(self, state: Mapping[str, Any]) -> str:
        """A state in words."""
        return ", ".join(c.words(state[c.name]) for c in self.controls if c.name in state)

    def figure(self, state: Mapping[str, Any]) -> Figure:
        """The figure of one state.

        Raises:
            GantransError: for a state with an unknown control.
        """
        unknown = set(state) - {c.name for c in self.controls}
        if unknown:
            raise GantransError(f"The explorer {self.title!r} has no control {sorted(unknown)}.")
        drawn = self.draw(**{**self.default(), **state})
        return figure_of(drawn) if isinstance(drawn, Axes) else drawn

    def problems(self, state: Mapping[str, Any]) -> list[str]:
        """What is wrong with one state's figure: data not finite, axes without labels, no alt text."""
        figure = self.figure(state)
        found = [] if alt_text(figure) else ["no alt text"]
        for ax in figure.axes:
            name = ax.get_title() or "axes without title"
            if ax.lines and not ax.images and not (ax.get_xlabel() and ax.get_ylabel()):
                found.append(f"{name}: an axis has no label")
            drawn = [im.get_array() for im in ax.images] + [line.get_ydata() for line in ax.lines]
            if not all(np.isfinite(np.asarray(values, dtype=float)).all() for values in drawn):
                found.append(f"{name}: the data are not finite")
        return [f"{self.words(state)}: {problem}" for problem in found]

    def states_of_strip(self) -> list[State]:
        """The given states, or those of the first control about the default, completed by it."""
        if self.strip_states:
            return [{**self.default(), **s} for s in self.strip_states]
        first = self.controls[0]
        return [{**self.default(), first.name: v} for v in first.states()[:5]]

    def strip(self) -> Picture:
        """Still pictures of 3 to 5 states as one, each as sharp as alone, with words for each."""
        states = self.states_of_strip()
        pictures = [picture(self.figure(s)) for s in states]
        varying = [c for c in self.controls if len({repr(s[c.name]) for s in states}) > 1]
        captions = [", ".join(c.words(s[c.name]) for c in varying) for s in states]
        words = " ".join(f"{c}: {p.alt}" for c, p in zip(captions, pictures, strict=True))
        whole = picture(tiled([p.png for p in pictures], captions, self.title), f"{self.title}. {words}")
        return Picture(whole.png, whole.alt, folded=f"Still pictures: {self.title}")

    def widget(self) -> Any:
        """Controls above the figure; an error in the figure function is shown in the figure's place."""
        import ipywidgets
        from IPython.display import display

        def redraw(**state: Any) -> None:
            display(picture(self.figure(state)))

        widgets = {c.name: c.widget() for c in self.controls}
        output = ipywidgets.interactive_output(redraw, widgets)
        return ipywidgets.VBox([ipywidgets.VBox(list(widgets.values())), output])


_EXPLORERS: dict[str, Explorer] = {}


def explorers() -> Mapping[str, Explorer]:
    """Every explorer made in this process, by title."""
    return dict(_EXPLORERS)


def explorer(
    draw: Draw, controls: Sequence[Control], *, title: str, strip: Sequence[Mapping[str, Any]] = ()
) -> Explorer:
    """Make and register an explorer without showing it (for modules and tests)."""
    made = Explorer(draw, tuple(controls), title, tuple(strip))
    _EXPLORERS[title] = made
    return made


def explore(
    draw: Draw | Explorer,
    controls: Sequence[Control] = (),
    *,
    title: str = "",
    strip: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Show an explorer: its widget, and beneath it the strip of still pictures.

    Args:
        draw: the pure figure function, keywords named as the controls; or a ready `Explorer`.
        controls: sliders, choices and toggles.
        title: what it lets one explore; also the first words of the alt text.
        strip: the states of the still pictures; by default the first control's ends and value.
    """
    from IPython.display import display

    made = draw if isinstance(draw, Explorer) else explorer(draw, controls, title=title, strip=strip)
    still = (
        made.strip()
    )  # first, so that an error of the figure function stops the cell and is not folded away
    display(made.widget())
    display(still)


@styled
def tiled(pngs: Sequence[bytes], captions: Sequence[str], title: str) -> Figure:
    """PNG pictures side by side when they are upright, one above the other when they are wide.

    Every pixel of a picture is one pixel of the whole: a picture that is scaled has blurred letters.
    """
    from PIL import Image

    images = [np.asarray(Image.open(io.BytesIO(p)).convert("RGB")) for p in pngs]
    height, width = (max(i.shape[k] for i in images) for k in (0, 1))
    columns = max(1, min(len(images), WIDEST_PX // width))
    line = height + LINE_PX
    all_width, all_height = columns * width, LINE_PX - (-len(images) // columns) * line
    dpi = STYLE["savefig.dpi"]
    figure = Figure(figsize=(all_width / dpi, all_height / dpi), dpi=dpi)
    figure.suptitle(title, y=1 - LINE_PX / 2 / all_height, va="center")
    for number, (image, caption) in enumerate(zip(images, captions, strict=True)):
        row, column = divmod(number, columns)
        top = all_height - LINE_PX - row * line  # of the caption, in pixels from below
        figure.text(
            (column + 0.5) * width / all_width, (top - LINE_PX / 2) / all_height, caption,
            ha="center", va="center",
        )  # fmt: skip
        left = column * width + (width - image.shape[1]) // 2
        figure.figimage(image, left, top - LINE_PX - image.shape[0])
    return figure


def _wide(ipywidgets: Any) -> dict[str, Any]:
    return {"style": {"description_width": "11em"}, "layout": ipywidgets.Layout(width="32em")}
