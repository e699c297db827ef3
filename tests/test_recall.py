"""Predictions and recall: answer keys computed where they can be, scores by hand, forms that answer."""

import json

import nbformat
import pytest
import torch
import torch.nn.functional as F

from gantrans import ROOT
from gantrans.course import forms, progress, recall
from gantrans.course.exercises import exercise
from gantrans.course.experiments.analytic import draw_twice
from gantrans.course.lesson01 import impossible
from gantrans.course.predictions import _asked, store
from gantrans.course.questions import QUESTIONS
from gantrans.diffusion import SamplerConfig, guided, make_schedule, sample, sampler_steps
from gantrans.errors import ConfigError
from gantrans.networks import Denoiser, DenoiserConfig, TimeEmbedding, sinusoidal_embedding

PATCHGAN = [(4, 2, 1)] * 3 + [(4, 1, 1)] * 2  # (kernel, stride, padding), n_layers = 3


def _gradient_after_two_passes() -> str:
    x = torch.tensor(1.0, requires_grad=True)
    for _ in range(2):
        (3 * x).backward()
    assert x.grad is not None
    return {3.0: "3, the last one", 6.0: "6, the sum", 0.0: "0"}[float(x.grad)]


def _symmetries() -> str:
    image = torch.arange(9.0).view(1, 1, 3, 3)
    move = exercise("augment_pair").function
    seen = {
        tuple(move(image, image, m, t)[0].flatten().tolist()) for m in (False, True) for t in range(-4, 5)
    }
    return str(len(seen))


def _ncc_under_gain() -> str:
    find = exercise("ncc_offset").function
    field = torch.rand(12, 14, generator=torch.Generator().manual_seed(0))
    template = field[3:8, 4:10]
    same = find(field, template) == find(field, 2 * template + 0.3) == (3, 4)
    return "Not at all" if same else "It moves"


def _best_constant(power: int) -> str:
    values = torch.tensor([0.0] * 7 + [1.0] * 3)
    guesses = torch.linspace(0, 1, 101)
    loss = (values[:, None] - guesses).abs().pow(power).mean(0)
    return f"{float(guesses[loss.argmin()]):g}"


def _iou() -> str:
    a, b = torch.zeros(1, 1, 3, 4), torch.zeros(1, 1, 3, 4)
    a[..., :2], b[..., 1:3] = 1.0, 1.0  # six pixels each, three in common
    return {0.25: "1/4", 1 / 3: "1/3", 0.5: "1/2"}[
        round(float(exercise("iou").function(a, b, 0.5)) * 12) / 12
    ]


def _moves_with_batch_mate(training: bool) -> bool:
    x = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    other = torch.stack([x[0], x[1] + 5])
    mean, var = torch.zeros(3), torch.ones(3)
    one, two = (F.batch_norm(b, mean.clone(), var.clone(), training=training)[0] for b in (x, other))
    return not torch.equal(one, two)


def _instance_norm_field() -> str:
    x = torch.randn(1, 1, 9, 9, generator=torch.Generator().manual_seed(0)).requires_grad_()
    y = F.conv2d(F.instance_norm(x), torch.ones(1, 1, 3, 3), padding=1)
    (gradient,) = torch.autograd.grad(y[0, 0, 4, 4], x)
    return "The whole image" if bool((gradient != 0).all()) else "Still 3 x 3 pixels"


def _corner_rows() -> str:
    first, last = exercise("logit_span").function(0, PATCHGAN)
    return str(last - max(first, 0) + 1)


def _detach() -> str:
    x = torch.ones(2, requires_grad=True)
    y = x.detach()
    shared = y.data_ptr() == x.data_ptr() and not y.requires_grad
    return "The same values without their history" if shared else "A copy with its own memory"


def _impossible() -> str:
    names = {"x0": "The image, x0", "v": "v", "epsilon": "The noise, epsilon"}
    (refused,) = impossible(make_schedule("linear", zero_terminal_snr=True))
    return names[refused]


def _half_way() -> str:
    names = {"sigmoid": "Sigmoid betas", "sigmoid_alpha_bar": "Sigmoid alpha-bar"}
    bars = {name: float(make_schedule(name).alpha_bars[499]) for name in names}
    (half,) = [name for name, bar in bars.items() if abs(bar - 0.5) < 1e-3]
    return names[half]


def _scaled() -> str:
    make = exercise("linear_betas").function
    ratio = float(make(250, 1e-4, 0.02)[-1] / make(1000, 1e-4, 0.02)[-1])
    return {4.0: "They are multiplied by 4", 0.25: "They are divided by 4"}[round(ratio, 6)]


def _fewest() -> str:
    def exists(steps: int) -> bool:
        try:
            exercise("linear_betas").function(steps, 1e-4, 0.02)
        except ValueError:
            return False
        return True

    return str(next(steps for steps in range(2, 1000) if exists(steps)))


def _mixed_without_roots() -> str:
    x, noise = torch.randn(2, 10**6, generator=torch.Generator().manual_seed(0))
    return f"{float((0.36 * x + 0.64 * noise).var()):.2f}"


def _what_similarity_depends_on() -> str:
    t = torch.arange(40)
    embedded = exercise("sinusoidal_embedding").function(t, 8, 100.0)
    alike = exercise("embedding_similarity").function(embedded, embedded)
    flat = [bool(d.std() < 1e-5) for d in (alike.diagonal(7), alike.flip(1).diagonal(7))]
    return {(True, False): "On t - t' alone", (False, True): "On t + t'"}[(flat[0], flat[1])]


def _map_after_a_layer_of_zeros() -> str:
    h = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    made = exercise("time_modulation").function(h, torch.ones(2, 5), torch.zeros(6, 5), torch.zeros(6))
    return "Nothing" if torch.equal(made, h) else "It sets the map to 0"


def _typical_error_of_spread() -> str:
    noise = torch.randn(20_000, 64, generator=torch.Generator().manual_seed(0))
    return f"{float(100 * noise.std(1).std()):.0f} %"


def _turn_of_the_fastest_clock() -> str:
    t = torch.arange(0, 20, 0.01)
    sine = exercise("sinusoidal_embedding").function(t, 64, 10_000.0)[:, 0]
    upward = t[1:][(sine[:-1] < 0) & (sine[1:] >= 0)]
    return f"{float(upward.diff().mean()):.1f}"


def _points_of_a_linear_layer() -> str:
    points = TimeEmbedding("raw", 64, 1000)(torch.arange(1000)).detach()
    rank = int(torch.linalg.matrix_rank(points - points.mean(0), rtol=1e-4))
    return {1: "A straight line", 2: "A plane"}.get(rank, "A cloud in 64 dimensions")


def _embedding_of_zero() -> str:
    embedded = exercise("sinusoidal_embedding").function(torch.tensor([0]), 6, 100.0)[0].tolist()
    return {(0.0, 0.0, 0.0, 1.0, 1.0, 1.0): "Zeros, then ones"}[tuple(embedded)]


def _twice_from_one_start() -> str:
    return "Equal to the bit" if draw_twice(SamplerConfig("ddim", 10)) == 0 else "Different in the details"


def _score() -> str:
    noise, alpha_bar = 1.2, torch.tensor(0.64, dtype=torch.float64)
    return f"{-noise / float((1 - alpha_bar).sqrt()):g}"


def _step_without_noise() -> str:
    spreads = [step.spread for step in sampler_steps(make_schedule("cosine"), SamplerConfig("ddpm", 6))]
    return {(5,): "At the last", (0,): "At the first"}[tuple(i for i, s in enumerate(spreads) if s == 0)]


def _predicted_image() -> str:
    noise, x_t, t = torch.tensor([[0.5]]), torch.ones(1, 1), torch.tensor([0])
    bars = torch.tensor([0.64], dtype=torch.float64)
    return f"{float(exercise('predict_x0').function(noise, x_t, t, bars, 'epsilon')):g}"


def _evaluations() -> str:
    seen = []

    def network(x_t, t, labelled):
        seen.append(labelled)
        return x_t

    sample(
        guided(network, 4.0), (1, 2), make_schedule("cosine"), SamplerConfig("ddpm", 20), prediction="x0",
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    return f"{len(seen)} times"


def _first_step_of_the_solver() -> str:
    x_t, x0, noise = torch.rand(3, 1, 4, generator=torch.Generator().manual_seed(0)).double() / 2
    solver = exercise("dpm_step").function(x_t, x0, None, 0.3, 0.6)
    same = torch.allclose(solver, exercise("ddim_step").function(x_t, x0, noise, 0.3, 0.6, 0.0))
    return "DDIM's, eta = 0" if same else "Neither's"


def _first_average() -> str:
    (average,) = exercise("ema_update").function([torch.zeros(1)], [torch.ones(1)], 0.99, 0)
    return f"{float(average):.2g}"


KEYS = {
    "basics_cat": lambda: str(tuple(torch.cat([torch.zeros(4, 1, 8, 8)] * 2, dim=1).shape)),
    "basics_uint8": lambda: str(int(torch.tensor(250, dtype=torch.uint8) + 10)),
    "basics_accumulate": _gradient_after_two_passes,
    "basics_broadcast": lambda: str(tuple((torch.zeros(3, 1) + torch.zeros(1, 4)).shape)),
    "basics_axis": lambda: str(torch.arange(6).view(2, 3).sum(dim=0).tolist()),
    "basics_detach": lambda: _detach(),
    "00_range": lambda: f"{float(exercise('to_network').function(torch.tensor([0], dtype=torch.uint8))):g}",
    "00_symmetries": _symmetries,
    "00_gain": _ncc_under_gain,
    "00_positions": lambda: str(torch.zeros(304).unfold(0, 250, 1).shape[0]),
    "00_resize": lambda: f"{250 * 10 / 256:.2f} nm",
    "01_closed": lambda: f"{float(torch.tensor([0.5, 0.5]).prod()):g}",
    "01_terminal": lambda: f"{float(make_schedule('linear', 100, rescale=False).signal[-1]):.2f}",
    "01_zero": _impossible,
    "01_sigmoid": _half_way,
    "01_snr": lambda: f"{float(exercise('log_snr').function(torch.tensor([0.2]).double()).exp()):g}",
    "01_scale": _scaled,
    "01_fewest": _fewest,
    "01_roots": _mixed_without_roots,
    "02_difference": _what_similarity_depends_on,
    "02_zero_layer": _map_after_a_layer_of_zeros,
    "02_spread": _typical_error_of_spread,
    "02_clock": _turn_of_the_fastest_clock,
    "02_frequencies": lambda: str(
        len({round(float(f), 6) for f in sinusoidal_embedding(torch.tensor([1.0]), 32)[0, :16].asin()})
    ),
    "02_origin": _embedding_of_zero,
    "02_line": _points_of_a_linear_layer,
    "02_numbers": lambda: str(
        len(Denoiser(DenoiserConfig(base_filters=64, multipliers=(1, 2))).middle.modulation.bias)
    ),
    "03_eta": _twice_from_one_start,
    "03_score": _score,
    "03_last": _step_without_noise,
    "03_predict_x0": _predicted_image,
    "03_guidance": lambda: (
        f"{float(exercise('guided_prediction').function(torch.tensor(0.2), torch.tensor(0.5), 3.0)):g}"
    ),
    "03_evaluations": _evaluations,
    "03_first_order": _first_step_of_the_solver,
    "03_ema": _first_average,
    "04_median": lambda: _best_constant(1),
    "04_bottleneck": lambda: "{0} x {0}".format(exercise("encoder_shapes").function(64, 16, 5, 256)[-1][1]),
    "04_channels": lambda: str(exercise("channel_rule").function(3, 48, 256)),
    "04_iou": _iou,
    "04_mean": lambda: _best_constant(2),
    "04_batch_norm": lambda: {
        (True, False): "In training only",
        (True, True): "Always",
        (False, False): "Never",
    }[(_moves_with_batch_mate(True), _moves_with_batch_mate(False))],
    "05_field": lambda: str(exercise("receptive_field").function([(k, s) for k, s, _ in PATCHGAN])),
    "05_map": lambda: "{0} x {0}".format(exercise("patch_map_size").function(256, 3)),
    "05_next_field": lambda: str(exercise("receptive_field").function([(4, 2)] * 4 + [(4, 1)] * 2)),
    "05_undecided": lambda: (
        f"{float(exercise('lsgan_d_loss').function(torch.full((1,), 0.5), torch.full((1,), 0.5))):g}"
    ),
    "05_instance_norm": _instance_norm_field,
    "05_corner": _corner_rows,
}


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("GANTRANS_PROGRESS", str(tmp_path / "learner" / "progress.json"))
    _asked.clear()


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.id)
def test_answer_key(question):
    assert len(set(question.choices)) == len(question.choices) >= 3
    assert question.why.endswith(".")
    if question.id in KEYS:
        assert KEYS[question.id]() == question.right


def test_every_key_belongs_to_a_question_and_few_cannot_be_computed():
    ids = [q.id for q in QUESTIONS]
    assert len(set(ids)) == len(ids)
    assert set(KEYS) <= set(ids)
    assert set(ids) - set(KEYS) == {"00_photometric", "00_low_score", "04_where", "05_condition"}


def test_pools_are_large_and_right_answers_do_not_always_stand_first():
    for lesson in {q.lesson for q in QUESTIONS}:
        pool = [q for q in QUESTIONS if q.lesson == lesson]
        assert len(pool) >= 6
        assert len({q.answer for q in pool}) >= 2


def test_recall_asks_about_earlier_lessons_only():
    known = sorted({q.lesson for q in QUESTIONS} - {"basics"})
    assert [q.lesson for q in recall.recall_questions(known[0])] == ["basics"] * 3
    for number, lesson in enumerate([*known[1:], "99"], 1):
        *recent, older = (q.lesson for q in recall.recall_questions(lesson))
        assert recent == [known[number - 1]] * 2
        assert older == (known[: number - 1] or known[:1])[max(number - 2, 0) // 2]  # half way back
    for lesson in ("00", "04", "05"):
        asked = recall.recall_questions(lesson)
        assert len({q.id for q in asked}) == 3
        assert asked == recall.recall_questions(lesson)
        assert {q.lesson for q in recall.wrap_up_questions(lesson)} == {lesson}
    with pytest.raises(ConfigError, match="'99' has no questions"):
        recall.wrap_up("99")


def test_recall_answers_are_judged_explained_and_kept():
    question = recall.wrap_up_questions("04")[0]
    wrong = next(c for c in question.choices if c != question.right)
    assert recall.answer(question, None) == "Choose one first."
    assert question.why in recall.answer(question, wrong)
    assert recall.answer(question, question.right).startswith("✓")
    assert progress.get("recall", question.id) == {"right": True, "asked": 2, "hits": 1}
    assert f"<summary>Answer</summary>{question.right}" in recall.card(question).markdown


def test_interval_prediction_is_scored_by_the_interval_score():
    recall.predict("iou", "How much?", range=(0.0, 0.5, "IoU"))
    store("iou", (0.1, 0.2))
    text = str(recall.reveal("iou", measured=0.25))
    assert "Measured: **0.25 IoU**" in text
    assert "outside" in text
    entry = progress.get("predictions", "iou")
    assert entry["hit"] is False
    assert entry["score"] == pytest.approx((0.1 + 2 / 0.2 * 0.05) / 0.5)
    store("iou", (0.2, 0.3))  # too late: the first prediction stands
    recall.reveal("iou", measured=0.15)  # a rerun measures again, the score stays
    assert progress.get("predictions", "iou") == entry
    assert "0 of your 1 intervals" in recall.calibration()


def test_choice_prediction_is_scored_by_brier():
    recall.predict("which", "Which is sharper?", choices=["with", "without"])
    store("which", "with", confidence=0.9)
    assert "90% sure): right" in str(recall.reveal("which", measured="with"))
    assert progress.get("predictions", "which")["score"] == pytest.approx(0.01)
    assert "1 of your 1 choices" in recall.calibration()


def test_headless_run_reveals_and_stores_nothing(capsys):
    recall.predict("iou", "How much?", range=(0.0, 1.0, ""))
    assert str(recall.reveal("iou", measured=0.5)) == "Measured: **0.5**. No prediction was recorded."
    assert capsys.readouterr().out == ""
    assert not progress.progress_path().exists()
    assert recall.calibration() == "No prediction has been revealed yet."


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: recall.predict("a", "?"), "two or more"),
        (lambda: recall.predict("a", "?", choices=["one"]), "two or more"),
        (lambda: recall.predict("a", "?", choices=["x", "y"], range=(0, 1, "")), "two or more"),
        (lambda: recall.predict("a", "?", range=(1, 1, "")), "low must be below high"),
        (lambda: recall.reveal("never", 1.0), "Nothing was asked under 'never'"),
    ],
)
def test_mistakes_of_a_lesson_author(call, message):
    with pytest.raises(ConfigError, match=message):
        call()


def test_unknown_choices_and_reversed_intervals_are_refused():
    recall.predict("c", "?", choices=["x", "y"])
    recall.predict("r", "?", range=(0, 1, ""))
    for call in (lambda: store("c", "z"), lambda: recall.reveal("c", "z"), lambda: store("r", (0.4, 0.2))):
        with pytest.raises(ConfigError):
            call()


def test_the_forms_store_what_is_set(monkeypatch):
    shown = {}
    monkeypatch.setattr(
        forms, "ask", lambda text, controls, submit, **_: shown.update(c=controls(), s=submit)
    )
    recall.predict("c", "Which?", choices=["x", "y"])
    form = forms.make_form("**Which** <b> `one`?", shown["c"], shown["s"], "Store")
    button, reply = form.children[-1].children
    button.click()
    assert reply.value == "Choose one first."
    shown["c"][0].value = "y"
    shown["c"][1].children[0].value = 60
    button.click()
    assert progress.get("predictions", "c") == {"choice": "y", "confidence": 0.6}
    assert form.children[0].value == "<b>Which</b> &lt;b> <code>one</code>?"
    recall.predict("r", "How much?", range=(0, 1, "nm"))
    shown["c"][1].value = (0.25, 0.5)
    assert shown["s"](shown["c"]).startswith("Stored")
    recall.reveal("r", 0.3)
    assert "revealed already" in shown["s"](shown["c"])
    assert progress.get("predictions", "r")["interval"] == [0.25, 0.5]


def test_a_damaged_progress_file_is_kept_aside(capsys):
    progress.update("recall", "a", right=True)
    path = progress.progress_path()
    for damage in ('{"exercises": {', "[]", '{"exercises": 3}', "\udcff"):
        path.write_text(damage, encoding="utf-8", errors="surrogateescape")
        assert progress.load() == {"exercises": {}, "predictions": {}, "recall": {}}
        assert "was damaged; it is kept as progress.json.bad" in capsys.readouterr().out
        assert path.with_name("progress.json.bad").exists()
    progress.update("recall", "b", right=False)
    assert progress.get("recall", "b") == {"right": False}
    progress.reset()
    progress.reset()
    assert progress.get("recall", "b") == {}


def test_a_kill_while_writing_leaves_the_old_file(monkeypatch):
    progress.update("recall", "a", right=True)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(progress.os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        progress.update("recall", "b", right=True)
    folder = progress.progress_path().parent
    assert [f.name for f in folder.iterdir()] == ["progress.json"]
    assert json.loads((folder / "progress.json").read_text())["recall"] == {"a": {"right": True}}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")), ids=lambda p: p.stem
)
def test_committed_lessons_ask_todays_questions(path):
    """A new question or lesson changes what others ask; their stamps, which are of code, do not notice."""
    lesson = path.stem[:2]
    shown = {"recall": recall.recall_questions(lesson), "wrap_up": recall.wrap_up_questions(lesson)}
    cells = nbformat.read(path, 4).cells
    for name, questions in shown.items():
        (cell,) = (c for c in cells if c.source.strip() == f'{name}("{lesson}")')
        outputs = [o.get("data", {}).get("text/markdown", "") for o in cell.outputs]
        assert [q.text for q in questions if not any(q.text in text for text in outputs)] == []
