"""Every sentence of every exercise's text has an answer that breaks it and an input that catches that answer.

`python tests/teaching/test_sentences.py` prints the table: exercise, sentence, input, what is said.
"""

import pytest

from gantrans.teaching.exercises import State, exercises
from gantrans.teaching.exercises.sentences import sentences

ALL = exercises()


def of_sentence(ex, sentence):
    return [breach for breach in ex.breaches if " ".join(breach.sentence.split()) in sentence]


@pytest.mark.parametrize("ex", ALL, ids=lambda ex: ex.id)
def test_every_sentence_has_an_input_that_catches_its_breach(ex):
    texts = sentences(ex.spec)
    uncovered = [text for text in texts if not of_sentence(ex, text)]
    assert uncovered == []
    stray = [b.sentence for b in ex.breaches if not any(b in of_sentence(ex, text) for text in texts)]
    assert stray == []
    for breach in ex.breaches:
        if breach.answer is not None:
            assert ex.judge(breach.answer).state is State.INCORRECT, breach.sentence


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("One. Two: three.\n\nFour", ["One.", "Two: three.", "Four"]),
        ("Take `a. B` and $x. Y$. Then go.", ["Take `a. B` and $x. Y$.", "Then go."]),
        ("Do:\n\n- this\n- that, e.g. here", ["Do:", "this", "that, e.g. here"]),
    ],
)
def test_sentences_are_told_apart(text, found):
    assert sentences(text) == found


def table():
    """Rows (exercise, sentence, number of the first input that catches the breach, what is said)."""
    for ex in ALL:
        for text in sentences(ex.spec):
            for breach in of_sentence(ex, text):
                if breach.answer is None:
                    yield ex.id, text, "", "asks for nothing"
                else:
                    message = ex.judge(breach.answer).message
                    number = message.rpartition("ex.example(")[2].partition(")")[0]
                    yield ex.id, text, number, message.splitlines()[0]


if __name__ == "__main__":
    for row in table():
        print(" | ".join(row))
