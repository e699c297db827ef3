"""The checkers are checked: wrong answers refused and rightly diagnosed, right ones accepted, stubs seen."""

import random
import re

import numpy as np
import pytest
import torch

from gantrans.errors import ConfigError
from gantrans.teaching.exercises import State, checker, exercise, exercises, kill_table, watched
from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.differential import difference, observe
from gantrans.teaching.exercises.guard import is_stub
from gantrans.teaching.exercises.inputs import SEEDS, Case, kept_generators
from gantrans.teaching.exercises.registry import run_stub
from gantrans.teaching.learner import progress

ALL = exercises()
WRONG = [pytest.param(ex, wrong, id=f"{ex.id}-{wrong.name}") for ex in ALL for wrong in ex.wrongs]
RIGHT = [
    pytest.param(ex, f, id=f"{ex.id}-{i}") for ex in ALL for i, f in enumerate([ex.function, *ex.rights])
]


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("GANTRANS_PROGRESS", str(tmp_path / "progress.json"))


@pytest.fixture(autouse=True)
def no_child(monkeypatch):
    """The first run in a child process has its own tests; a thousand forks cost a minute."""
    monkeypatch.setattr(watched, "enabled", False)


@pytest.mark.parametrize(("ex", "wrong"), WRONG)
def test_wrong_answer_is_refused_with_its_misconception(ex, wrong):
    result = ex.judge(wrong.answer)
    assert (result.state, result.cause) == (State.INCORRECT, wrong.name)
    assert "Input: " in result.message


@pytest.mark.parametrize(("ex", "answer"), RIGHT)
def test_right_answer_is_accepted(ex, answer):
    result = ex.judge(answer)
    assert result.passed, str(result)


@pytest.mark.parametrize("ex", ALL, ids=lambda ex: ex.id)
def test_exercise_is_complete(ex):
    assert ex.judge(run_stub(ex)).state is State.NOT_ATTEMPTED
    assert len(ex.wrongs) >= 6
    assert len(ex.rights) >= 4
    assert len({w.name for w in ex.wrongs}) == len(ex.wrongs)
    assert len(ex.hints) >= 3
    assert 1 <= ex.difficulty <= 5
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", ex.name).lower()  # TimeBlock: time_block
    names = snake, f"build_{ex.name.lower()}"  # PatchGAN: build_patchgan
    assert ex.id in names or (ex.kind == "class" and ex.id.startswith(f"{snake}_"))  # UNet: unet_denoiser
    assert len(SEEDS) >= 20
    text = str(ex.show()) + str(ex.solution())
    parts = ex.title, f"· {ex.importance} · {ex.kind} ·", f"{ex.name} = ex.check({ex.name})", "Source: "
    assert all(part in text for part in parts)
    assert re.search(rf"^(def|class) {ex.name}\(", ex.stub)
    if ex.kind != "bug hunt":
        assert "raise NotImplementedError" in ex.stub
        assert not re.search(r"@ex\.|    return", ex.stub)


def test_the_course_has_a_hundred_right_answers():
    assert sum(len(ex.rights) for ex in ALL) >= 100


def test_cases_vary_in_all_that_matters():
    cases = [Case(seed) for seed in SEEDS]
    assert {c.dtype for c in cases} == {torch.float32, torch.float64}
    assert {c.batch > 1 for c in cases} == {True, False}
    assert all(c.height != c.width for c in cases)
    assert any(c.height % 2 and c.width % 2 for c in cases)
    assert torch.equal(Case(3).randn(4), Case(3).randn(4))


@pytest.fixture
def toy():
    """The smallest exercise: y = 2 x."""
    ex = Exercise(
        "twice", "00", "Twice", 1, 1, "Double it, on its device.", ("a", "b", "c"), "-", gradients=("x",)
    )

    @ex.reference
    def twice(x):
        """Any tensor -> twice."""
        return 2 * x

    ex.inputs(lambda case: (case.randn(case.batch, case.width),))
    ex.wrong("square", "You square it.", lambda x: x * x)
    ex.wrong("constant", "You always say two.", lambda x: torch.full_like(x, 2.0))
    return ex


def noisy(x):
    return 2 * x + torch.rand(1) + np.random.rand() + random.random()  # noqa: NPY002


def in_place(x):
    return x.mul_(2)


def stray(x):
    return x + x + torch.zeros(x.shape, dtype=x.dtype)


def endless(x):
    while True:
        try:
            x = x + 0
        except Exception:
            continue


def partly_stub(x):
    y = ...
    return y


def own_error(x):
    return x.frobnicate()


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        (None, "not attempted", "`twice` is still to be written"),
        (..., "not attempted", "`twice` is still to be written"),
        (partly_stub, "not attempted", "still to be written"),
        (3, "cannot check", "the function itself, as in `ex.check\\(twice\\)`; it was given 3"),
        (lambda x, y: x, "cannot check", r"must take \(x\)"),
        (
            lambda x: 2 * x + 1,
            "incorrect",
            r"expected float32 tensor .*, got float32 tensor .*\nInput: x = float32",
        ),
        (lambda x: (2 * x)[:1], "incorrect", r"expected shape \(\d, \d+\), got shape \(1, \d+\)"),
        (lambda x: (2 * x).float(), "incorrect", "expected dtype torch.float64, got dtype torch.float32"),
        (lambda x: (2 * x.float()).to(x.dtype), "incorrect", "float64 tensor"),
        (lambda x: 2 * x.detach(), "incorrect", "gradient with respect to `x`.*cuts the graph"),
        (lambda x: 2 * x.detach() + 0 * x, "incorrect", "gradient with respect to `x`"),
        (lambda x: 2 * x + torch.rand(1, dtype=x.dtype), "incorrect", "depends on the global random state"),
        (noisy, "incorrect", "global random state"),
        (in_place, "incorrect", "leaves the argument `x` as"),
        (stray, "incorrect", "must stay on the device of the inputs"),
        (lambda x: print(x), "incorrect", "is a `return` missing"),
        (
            own_error,
            "incorrect",
            r"AttributeError \(.*frobnicate.*\nIn your line \d+: return x.frobnicate\(\)",
        ),
        (lambda x: exit(), "incorrect", "your code raised SystemExit"),
        (lambda x: [2 * x], "incorrect", "expected a tensor"),
        (lambda x: 2 * x[: len(x)] if x.shape[0] == 1 else 3 * x, "incorrect", "inputs fail.*; try this one"),
    ],
)
def test_every_way_to_fail_is_told_apart(toy, answer, state, words):
    toy.check(answer)
    result = toy.result
    assert str(result.state) == state
    assert re.search(words, result.message, re.DOTALL), result.message
    assert result.misconception == ""
    assert toy.id in result._repr_html_()
    assert state in str(result)


def test_a_known_misconception_is_named(toy):
    toy.check(lambda x: x**2)
    result = toy.result
    assert result.cause == "square"
    assert str(result).endswith("This is what happens when you square it.")


def test_where_the_text_asks_for_no_device_it_is_a_remark(toy):
    toy.spec = "Double it."
    result = toy.judge(stray)
    assert result.passed
    assert "On a GPU it would mix devices" in result.message


def test_endless_loop_cannot_be_checked(toy, monkeypatch):
    monkeypatch.setattr(checker, "SECONDS", 0.1)
    toy.check(endless)
    result = toy.result
    assert result.state is State.CANNOT_CHECK
    assert "does a loop never end?" in result.message


def test_interrupt_passes_and_a_broken_checker_does_not_stop_the_notebook(toy, monkeypatch):
    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        toy.check(interrupted)
    monkeypatch.setattr(checker, "beyond_the_inputs", lambda *_: 1 / 0)
    toy.check(lambda x: 2 * x)
    result = toy.result
    assert result.state is State.CANNOT_CHECK
    assert "ZeroDivisionError" in result.message


def test_checking_leaves_the_global_generators_alone(toy):
    def draw():
        return torch.rand(1).item(), np.random.rand(), random.random()  # noqa: NPY002

    with kept_generators():
        first = draw()
        undisturbed = draw()
    with kept_generators():
        assert draw() == first
        toy.check(noisy)
        assert toy.result.state is State.INCORRECT
        assert draw() == undisturbed


def test_a_torch_error_is_not_taken_for_a_stub(toy):
    def unsupported(x):
        raise NotImplementedError("\"mean\" not implemented for 'Byte'")

    toy.check(unsupported)
    assert toy.result.state is State.INCORRECT


def test_hints_come_one_by_one_and_progress_is_kept(toy):
    assert [str(toy.hint())[2:13] for _ in range(4)] == [f"Hint {i} of 3" for i in (1, 2, 3, 3)]
    toy.check(lambda x: x)
    toy.check(lambda x: 2 * x)
    toy.check(lambda x: x)
    toy.check(None)
    entry = {"state": "incorrect", "solved": True, "attempts": 3, "hints": 3}
    assert progress.get("exercises", "twice").items() >= entry.items()


def test_unwritable_progress_is_a_remark(toy, monkeypatch):
    def full(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(progress, "change", full)
    toy.check(lambda x: 2 * x)
    result = toy.result
    assert result.passed
    assert "was not saved: no space left" in result.message


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        (3, np.int64(3), True),
        (3, torch.tensor(3), True),
        (3, 3.0, False),
        (1, True, False),
        ((1, 2), [1, 2], True),
        ((1, 2), torch.Size([1, 2]), True),
        ([(1, 2)], [(1, 3)], False),
        ((1, 2), (1, 2, 3), False),
        (0.5, 0.5 + 1e-12, True),
        (0.5, 0.5001, False),
        (torch.tensor([float("nan")]), torch.tensor([float("nan")]), True),
        (torch.tensor([float("nan")]), torch.tensor([0.0]), False),
        (torch.tensor([1.0]), torch.tensor([1.0 + 1e-6]), True),
        (torch.tensor([1.0], dtype=torch.float64), torch.tensor([1.0 + 1e-6], dtype=torch.float64), False),
        (torch.zeros(20), torch.ones(20), False),
        (np.arange(3)[::-1], np.array([2, 1, 0]), True),
        (np.arange(3)[::-1], np.arange(3), False),
    ],
)
def test_what_counts_as_equal(expected, got, same):
    assert (difference(expected, got) is None) == same


def test_observation_sees_all_that_happens():
    seen = observe(lambda x: x.add_(1), (torch.zeros(2),))
    assert seen.after[0].tolist() == [1, 1]
    assert not observe(lambda x: torch.rand(2), (torch.zeros(2),)).repeatable


def test_stubs_are_recognised_by_their_body():
    def documented(x):
        """Text."""
        ...

    assert is_stub(documented)
    assert is_stub(lambda: ...)
    assert not is_stub(lambda: 30)
    assert not is_stub(lambda x: x)


def test_unknown_exercise_offers_the_nearest():
    with pytest.raises(ConfigError, match="no exercise 'decoder_stp'; did you mean 'decoder_step'"):
        exercise("decoder_stp")


def test_a_checker_that_accepts_a_wrong_answer_shows_in_the_table(toy, monkeypatch):
    toy.wrong("right_after_all", "Nothing is wrong here.", lambda x: x + x)
    monkeypatch.setattr("gantrans.teaching.exercises.registry.exercises", lambda: [toy])
    (row,) = kill_table()
    assert (row["wrong"], row["refused"], row["diagnosed"], row["stub"]) == (3, 2, 2, "not attempted")


def test_references_say_what_the_library_says():
    from gantrans import images, metrics, networks
    from gantrans.translation import AdversarialLoss

    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (2, 1, 4, 5), generator=draw).to(torch.uint8)
    assert torch.allclose(exercise("to_network").function(pixels), images.network_from_uint8(pixels))
    a, b = torch.rand(3, 1, 8, 9, generator=draw), torch.rand(3, 1, 8, 9, generator=draw)
    assert torch.equal(exercise("iou").function(a, b, 0.5), metrics.iou(a, b, 0.5))
    loss = AdversarialLoss("lsgan").discriminator(a, b)
    assert torch.allclose(exercise("lsgan_d_loss").function(a, b), loss)
    unet = networks.UNetConfig()
    shapes = exercise("encoder_shapes").function(256, unet.base_filters, unet.n_down, unet.channel_cap)
    assert [c for c, _ in shapes] == list(unet.channels)
    for n in range(1, 6):
        patchgan = networks.PatchGANConfig(n_layers=n)
        table = [(layer.kernel, layer.stride, layer.padding) for layer in patchgan.layers]
        made = exercise("patchgan_layers").function(patchgan.base_filters, n, patchgan.channel_cap)
        assert [row[2:] for row in made] == table
        field, side = exercise("receptive_field").function(table, 256)
        assert field == patchgan.receptive_field == (16, 34, 70, 142, 286)[n - 1]
        assert side == patchgan.logit_size(256)
        first, last = exercise("logit_span").function(3, table)
        box = patchgan.logit_field(3, 3, 256, 256)
        assert (max(first, 0), min(last, 255) + 1) == (box.top, box.bottom)
