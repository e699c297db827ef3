"""Small forms for predictions and recall questions, which degrade to text.

A form is displayed together with a Markdown version of itself: a page without live widgets (the rendered
book, a repository viewer) shows that one, so a question is never lost. With GANTRANS_HEADLESS=1 only the
text is shown.
"""

import os
from collections.abc import Callable
from typing import Any

VIEW = "application/vnd.jupyter.widget-view+json"


def live() -> bool:
    """Whether someone may be there to answer: a notebook kernel, and GANTRANS_HEADLESS is not 1.

    A kernel cannot know whether a front end listens, so a papermill run counts as live; nothing ever waits.
    """
    found = shell()
    return found is not None and hasattr(found, "kernel") and os.environ.get("GANTRANS_HEADLESS") != "1"


def ask(
    markdown: str,
    controls: Callable[[], list[Any]],
    submit: Callable[[list[Any]], str],
    *,
    button: str = "Store my prediction",
) -> None:
    """Show a question with its controls; a click calls `submit(controls)` and shows the plain reply.

    `controls` is called only in a live kernel, so ipywidgets is imported only there. Without any IPython
    shell nothing is shown.
    """
    if shell() is None:
        return
    from IPython.display import display

    if not live():
        display({"text/markdown": markdown, "text/plain": markdown}, raw=True)
        return
    form = make_form(markdown, controls(), submit, button)
    view = form._repr_mimebundle_()
    display({VIEW: view[VIEW], "text/markdown": markdown, "text/plain": markdown}, raw=True)


def make_form(markdown: str, controls: list[Any], submit: Callable[[list[Any]], str], button: str) -> Any:
    """The widget itself: the question, its controls, a button, and a line for the reply."""
    import ipywidgets as w

    click = w.Button(description=button, layout=w.Layout(width="auto"))
    reply = w.Label()

    def on_click(_: Any) -> None:
        reply.value = submit(controls)

    click.on_click(on_click)
    return w.VBox([w.HTMLMath(_paragraphs(markdown)), *controls, w.HBox([click, reply])])


def _paragraphs(markdown: str) -> str:
    """The question without its list of choices (the controls show them); bold and code as HTML."""
    import re

    text = markdown.split("\n\n")[0]
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)
    return re.sub(r"`(.+?)`", r"<code>\1</code>", text)


def shell() -> Any:
    """The IPython shell that runs this code, or None."""
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    return get_ipython()  # type: ignore[no-untyped-call]
