"""A prompt box: a line of text and a button over a figure function of that text.

As for an explorer, the figure function is pure and is tested without a front end; a strip of still pictures
of some prompts stands in the same cell, for GitHub and for readers without a kernel. A prompt that the
function refuses with a `GantransError` is answered by its sentence in the box, and the last figure stays.
"""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gantrans.errors import ConfigError, GantransError
from gantrans.teaching.explorers import tiled
from gantrans.teaching.plots.display import Picture, picture
from gantrans.teaching.plots.style import figure_of


@dataclass(frozen=True)
class PromptBox:
    """A figure function of a prompt; `prompts` are those of the still pictures, the first is in the box."""

    draw: Callable[[str], Figure | Axes]
    prompts: tuple[str, ...]
    title: str

    def __post_init__(self) -> None:
        if not self.prompts:
            raise ConfigError(
                f"The prompt box {self.title!r} has no prompts; give one or more for its stills."
            )

    def answer(self, prompt: str) -> Picture | str:
        """The picture of a prompt, or the sentence that refuses it. Any other error passes: it is a bug."""
        try:
            drawn = self.draw(prompt)
        except GantransError as error:
            return str(error)
        return picture(figure_of(drawn) if isinstance(drawn, Axes) else drawn)

    def strip(self) -> Picture:
        """Still pictures of all prompts, each under its words.

        Raises:
            GantransError: a prompt of the strip is refused.
        """
        pictures = [self._accepted(prompt) for prompt in self.prompts]
        words = " ".join(f"“{p}”: {made.alt}" for p, made in zip(self.prompts, pictures, strict=True))
        captions = [f"“{prompt}”" for prompt in self.prompts]
        whole = picture(
            tiled([made.png for made in pictures], captions, self.title), f"{self.title}. {words}"
        )
        return Picture(whole.png, whole.alt, folded=f"Still pictures: {self.title}")

    def _accepted(self, prompt: str) -> Picture:
        answer = self.answer(prompt)
        if isinstance(answer, str):
            raise GantransError(f"The prompt “{prompt}” of the strip {self.title!r} is refused: {answer}")
        return answer

    def widget(self) -> Any:
        """A line for the prompt, a button, a place for a refusal, and the figure beneath.

        The button or the Enter key draws. While a figure is being made the button is off, so that clicks do
        not queue up behind a slow network.
        """
        import ipywidgets
        from IPython.display import display

        line = ipywidgets.Text(
            self.prompts[0],
            description="prompt",
            continuous_update=False,
            layout=ipywidgets.Layout(width="40em"),
        )
        button = ipywidgets.Button(description="Draw", tooltip="Draw what the prompt says")
        refusal, output = ipywidgets.HTML(), ipywidgets.Output()
        shown: list[str] = []

        def redraw(_: Any = None) -> None:
            if shown == [line.value]:  # the click that follows leaving the line
                return
            button.disabled = True
            try:
                with output:  # an error in the figure function is shown in the figure's place
                    answer = self.answer(line.value)
                    shown[:] = [line.value]
                    refusal.value = f"<b>{html.escape(answer)}</b>" if isinstance(answer, str) else ""
                    if isinstance(answer, Picture):
                        output.clear_output(wait=True)
                        display(answer)
            finally:
                button.disabled = False

        button.on_click(redraw)
        line.observe(redraw, "value")
        redraw()
        return ipywidgets.VBox([ipywidgets.HBox([line, button]), refusal, output])


def prompt_box(draw: Callable[[str], Figure | Axes], prompts: Sequence[str], *, title: str) -> None:
    """Show a prompt box: its widget, and beneath it the still pictures of `prompts`.

    Args:
        draw: the pure figure function of a prompt; it refuses one with a `GantransError`.
        prompts: one or more; the first stands in the box at the start.
        title: what it lets one try; also the first words of the alt text.
    """
    from IPython.display import display

    box = PromptBox(draw, tuple(prompts), title)
    still = box.strip()  # first, so that an error of the figure function stops the cell
    display(box.widget())
    display(still)
