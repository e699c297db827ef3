"""`questions.toml`: what is read, and that a mistake is named."""

import pytest

from gantrans.errors import DataError
from gantrans.teaching.learner.question import Recall, questions, read_questions


def entry(kind, name, answer="three", **changed):
    keys = {
        "id": name,
        "text": "How many?",
        "choices": ["two", "three", "four"],
        "answer": answer,
        "why": "So.",
    }
    keys |= changed
    return f"[[{kind}]]\n" + "".join(f"{key} = {value!r}\n" for key, value in keys.items())


def six(**changed):
    """Questions of lesson 90; what is changed is changed in the first."""
    first = entry("question", "90_a", **changed)
    return first + "".join(entry("question", f"90_{letter}", "two") for letter in "bcdef")


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "lesson90"
    folder.mkdir()
    return folder


def test_questions_are_read_warm_ups_first(folder):
    warm = entry("warm_up", "basics_a") + entry("warm_up", "basics_b", "four")
    (folder / "questions.toml").write_text(six() + warm)
    read = questions(folder.parent)
    assert [q.id for q in read] == ["basics_a", "basics_b", *(f"90_{letter}" for letter in "abcdef")]
    assert [q.lesson for q in read] == ["basics"] * 2 + ["90"] * 6
    assert read[2] == Recall("90_a", "90", "How many?", ("two", "three", "four"), 1, "So.")
    assert read[2].right == "three"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (six(answer="five"), r"question 90_a: answer is 'five'; it must be one of the choices \['two', "),
        (six(answer=1), "question 90_a: answer is 1; it must be text"),
        (six(text=" "), "question 90_a: text is ' '; it must be text"),
        (six(choices=["two", "three"]), "question 90_a: choices is .*; 3 or more are needed, all different"),
        (six(choices=["two", "three", "two"]), "question 90_a: choices is .*all different"),
        (six(choices="three"), "question 90_a: choices is 'three'; it must be a list of texts"),
        (six(id="91_a"), "question 91_a: id is '91_a'; it must begin with 90_"),
        (six(id="90_b"), "question 90_b: id is '90_b'; another question has it"),
        (
            six(why="Because"),
            "question 90_a: why is 'Because'; it must be a sentence that ends in a full stop",
        ),
        (six(hint="x"), "question 90_a: hint is 'x'; the keys are id, text"),
        (six(answer="two"), "every right answer is choice 1; vary the place"),
        (six().split("[[question]]\nid = '90_f'")[0], "has 5 questions; a lesson needs 6"),
        (six() + entry("warm_up", "90_g"), "question 90_g: id is '90_g'; it must begin with basics_"),
        (six().replace("[[question]]", "[[questions]]"), "the file: questions is .* only"),
        ("question = 'x'", "the file: question is 'x'; it has"),
        ("question", "is not TOML"),
        (None, r"^lesson90 has no questions\.toml; it needs at least 6 questions\.$"),
    ],
)
def test_a_mistake_names_file_question_key_and_value(text, message, folder):
    if text is not None:
        (folder / "questions.toml").write_text(text)
    with pytest.raises(DataError, match=message):
        read_questions(folder)
