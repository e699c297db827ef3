"""Turns of two players: who stands behind a tensor is watched, and a bug hunt may be a step."""

import pytest
import torch
from torch import nn

from gantrans.teaching.exercises import State, exercise
from gantrans.teaching.exercises.kinds.probing import with_graph

TURN = exercise("discriminator_step")
HUNT = exercise("whole_step")


def wrong(ex, name):
    return next(w.answer for w in ex.wrongs if w.name == name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("not_detached", "`G.weight.grad` after the call"),
        ("detached_in_place", "expected kept in `fake`, its graph after the call, got cut"),
    ],
)
def test_what_a_turn_does_to_the_other_player_is_said(name, words):
    result = TURN.judge(wrong(TURN, name))
    assert result.state is State.INCORRECT
    assert words.lower() in result.message.lower(), result.message
    assert "its graph after the call" in TURN.expected[0].value.__repr__()


def test_the_player_behind_is_not_an_argument():
    def greedy(D, optimizer, x, y, fake, loss, G):
        return 0.0

    assert "must take (D, optimizer, x, y, fake, loss)" in TURN.judge(greedy).message


def whole_step(G, D, of_g, of_d, x, y, weight_l1):
    of_d.zero_grad()
    fake = G(x)
    real, _ = D(x, y)
    made, _ = D(x, fake)
    loss_d = 0.5 * ((real - 1).square().mean() + made.square().mean())
    loss_d.backward(retain_graph=True)
    of_d.step()
    of_g.zero_grad()
    verdict, _ = D(x, fake)
    loss_g = (verdict - 1).square().mean() + weight_l1 * (fake - y).abs().mean()
    loss_g.backward()
    of_g.step()
    return loss_d.item(), loss_g.item()


def test_a_step_may_hide_a_bug():
    namespace = {"torch": torch, "nn": nn, "Tensor": torch.Tensor}
    exec(HUNT.stub, namespace)
    assert HUNT.judge(namespace["whole_step"]).state is State.NOT_ATTEMPTED
    elsewhere = HUNT.judge(whole_step)
    assert elsewhere.passed, elsewhere
    assert "You repaired it elsewhere: the slip stands in line 5, `made, _ = D(x, fake)`" in elsewhere.message
    assert "The slip was: In D's turn the fake has to be detached." in HUNT.judge(HUNT.rights[2]).message
    assert "**What can be seen:** without L1 a toy generator moves by" in str(HUNT.show())


def test_gradients_are_asked_of_nested_results():
    x = torch.ones(2, requires_grad=True)
    assert len(with_graph((x * 2, [x + 1, (x.detach(), {"b": x - 1})]))) == 3
