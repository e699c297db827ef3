"""The recall questions of lesson 00: what the right answers are, computed."""

from fractions import Fraction

import nbformat
import pytest
import torch
from answers import questions_of

from gantrans.metrics import iou
from gantrans.teaching.course import lesson
from gantrans.teaching.exercises import exercise


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


def _order_under_gain() -> str:
    low, high = torch.rand(2, 1000, generator=torch.Generator().manual_seed(0)).sort(dim=0).values
    gain, offset = torch.rand(2, 1000, generator=torch.Generator().manual_seed(1))
    kept = ((gain * high + offset - 0.5) >= (gain * low + offset - 0.5)).all()
    return "No, a positive gain keeps the order" if kept else "Yes, if the offset is large"


def _iou() -> str:
    called, drawn = torch.zeros(2, 1, 1, 10)
    called[0, 0, :6], drawn[0, 0, 3:7] = 1, 1
    value = Fraction(float(iou(called[None], drawn[None])[0])).limit_denominator(20)
    return f"{value.numerator}/{value.denominator}"


def _order_of_the_loop() -> str:
    cells = nbformat.read(lesson("00").notebook, 4).cells
    (loop,) = [c.source for c in cells if ".backward(" in c.source and c.cell_type == "code"]
    marks = {
        "forward": "net(x)", "loss": ".mean()", "zero_grad": ".zero_grad()", "backward": ".backward()",
        "step": ".step()",
    }  # fmt: skip
    return ", ".join(sorted(marks, key=lambda name: loop.index(marks[name])))


def _ncc_under_gain() -> str:
    find = exercise("ncc_offset").function
    field = torch.rand(12, 14, generator=torch.Generator().manual_seed(0))
    template = field[3:8, 4:10]
    same = find(field, template) == find(field, 2 * template + 0.3) == (3, 4)
    return "Not at all" if same else "It moves"


def _detach() -> str:
    x = torch.ones(2, requires_grad=True)
    y = x.detach()
    shared = y.data_ptr() == x.data_ptr() and not y.requires_grad
    return "The same values without their history" if shared else "A copy with its own memory"


ANSWERS = {
    "basics_cat": lambda: str(tuple(torch.cat([torch.zeros(4, 1, 8, 8)] * 2, dim=1).shape)),
    "basics_uint8": lambda: str(int(torch.tensor(250, dtype=torch.uint8) + 10)),
    "basics_accumulate": _gradient_after_two_passes,
    "basics_broadcast": lambda: str(tuple((torch.zeros(3, 1) + torch.zeros(1, 4)).shape)),
    "basics_axis": lambda: str(torch.arange(6).view(2, 3).sum(dim=0).tolist()),
    "basics_detach": lambda: _detach(),
    "00_range": lambda: f"{float(exercise('to_network').function(torch.tensor([0], dtype=torch.uint8))):g}",
    "00_symmetries": _symmetries,
    "00_five_steps": _order_of_the_loop,
    "00_jitter": _order_under_gain,
    "00_iou": _iou,
    "00_gain": _ncc_under_gain,
    "00_positions": lambda: str(torch.zeros(304).unfold(0, 250, 1).shape[0]),
    "00_resize": lambda: f"{250 * 10 / 256:.2f} nm",
}

BY_HAND = {"00_low_score", "00_side"}  # no computation decides these


@pytest.mark.parametrize("name", ANSWERS)
def test_the_right_choice_is_the_computed_one(name):
    assert ANSWERS[name]() == questions_of("00", "basics")[name].right


def test_every_question_is_computed_or_listed():
    assert set(ANSWERS) | BY_HAND == set(questions_of("00", "basics"))
