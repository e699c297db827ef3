"""The prompt box: it draws what is typed, shows a refusal as a sentence, and has stills for other readers."""

import pytest

from gantrans.errors import ConfigError, DataError, GantransError
from gantrans.teaching import plots
from gantrans.teaching.prompts import PromptBox, prompt_box

CALLS: list[str] = []


def draw(prompt: str):
    CALLS.append(prompt)
    if "<b>" in prompt:
        raise DataError(f"No training caption has the word “{prompt}”.")
    if prompt == "broken":
        raise ZeroDivisionError("no figure")
    ax = plots.new_axes(None, 2.0, 1.0)
    ax.plot([0, len(prompt)])
    ax.set(xlabel="place", ylabel="letters")
    return plots.describe(ax, f"{len(prompt)} letters")


@pytest.fixture
def box():
    CALLS.clear()
    return PromptBox(draw, ("two lines", "one via"), "Prompts")


def parts(widget):
    (line, button), (refusal, output) = widget.children[0].children, widget.children[1:]
    return line, button, refusal, output


def test_the_box_draws_its_first_prompt_then_what_is_typed(box):
    line, button, refusal, _ = parts(box.widget())
    assert CALLS == ["two lines"]
    line.value = "three lines"  # the Enter key, or leaving the line
    button.click()  # the click that made one leave it
    assert CALLS == ["two lines", "three lines"]
    assert (refusal.value, button.disabled) == ("", False)


def test_a_refusal_is_a_sentence_in_the_box_and_goes_away_again(box):
    line, _, refusal, _ = parts(box.widget())
    line.value = "<b>lins"
    assert refusal.value == "<b>No training caption has the word “&lt;b&gt;lins”.</b>"
    line.value = "one line"
    assert refusal.value == ""


def test_any_other_error_is_not_hidden(box):
    line, button, _, _ = parts(box.widget())
    with pytest.raises(ZeroDivisionError, match="no figure"):
        line.value = "broken"
    assert button.disabled is False
    with pytest.raises(ZeroDivisionError, match="no figure"):
        box.answer("broken")


def test_the_stills_show_every_prompt_with_its_words(box, monkeypatch):
    monkeypatch.delenv("GANTRANS_HEADLESS", raising=False)
    strip = box.strip()
    assert strip.alt == "Prompts. “two lines”: 9 letters “one via”: 7 letters"
    data, _ = strip._repr_mimebundle_()
    assert data["text/html"].startswith("<details><summary>Still pictures: Prompts</summary>")


def test_a_strip_that_cannot_be_drawn_stops_the_cell():
    with pytest.raises(GantransError, match="of the strip 'Prompts' is refused: No training caption"):
        prompt_box(draw, ["<b>"], title="Prompts")
    with pytest.raises(ConfigError, match="no prompts"):
        PromptBox(draw, (), "Empty")
