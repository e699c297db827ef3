"""The recall questions of lesson 12: what the right answers are, computed."""

import numpy as np
import pytest
import torch
from answers import questions_of

from gantrans.operations.promotion.gate import lower_bound
from gantrans.operations.promotion.triggers import Signals, advise
from gantrans.teaching.exercises import exercise
from lessons.lesson12.exercises._toy_disk import ToyDisk
from lessons.lesson12.experiments import promotion


def _rate_after_loading() -> str:
    weight = torch.nn.Parameter(torch.zeros(1))
    stored, fresh = (torch.optim.Adam([weight], lr=lr) for lr in (2e-6, 2e-4))
    fresh.param_groups[0]["lr"] = 2e-5
    fresh.load_state_dict(stored.state_dict())
    return {2e-4: "2e-4", 2e-5: "2e-5", 2e-6: "2e-6"}[fresh.param_groups[0]["lr"]]


def _renamed_before_synced() -> str:
    disk = ToyDisk("live", "old")
    disk.write("draft", "new")
    disk.rename("draft", "live")
    found = {
        ("new", "old"): "The old or the new contents",
        ("new", "old", "torn"): "The old ones, the new ones, or half a file",
    }
    return found[tuple(sorted(disk.at_the_end()))]


def _bound_with_copies() -> str:
    hold = promotion.Hold(layouts=50, images=2)
    values = hold.draw(np.random.default_rng(0))
    once = lower_bound(values, hold.clusters)
    copied = lower_bound(np.repeat(values, 10), [c for c in hold.clusters for _ in range(10)])
    assert once is not None
    assert copied is not None
    return "It stays" if abs(once - copied) < 1e-12 else "It rises" if copied > once else "It falls"


ANSWERS = {
    "12_rate": _rate_after_loading,
    "12_equal": lambda: {0: "Never", 1: "In about half of the cases"}[
        round(2 * promotion.share("mean > 0", promotion.Hold(), 400)[0] / 400)
    ],
    "12_swap": _renamed_before_synced,
    "12_replay": lambda: str(sum(len(exercise("replay_slots").function(s, 8, 0.25)[0]) for s in range(10))),
    "12_copies": _bound_with_copies,
    "12_twelve": lambda: f"About {100 * (1 - 0.99**12):.0f} %",
    "12_drift": lambda: {(False, True): "Labelling, with priority", (True, False): "A fine-tuning"}[
        (advise(Signals(0, drift=True)).train, advise(Signals(0, drift=True)).label_first)
    ],
    "12_nine": lambda: {True: "Insufficient data", False: "Promote"}[
        lower_bound([0.1] * 9, [str(i) for i in range(9)]) is None
    ],
    "12_clock": lambda: "No" if not exercise("cool_down").function(-10 * 3600.0, 0.0, 24.0)[0] else "Yes",
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_right_choice_is_the_computed_one(name):
    assert ANSWERS[name]() == questions_of("12")[name].right


def test_every_question_is_computed():
    assert set(ANSWERS) == set(questions_of("12"))
