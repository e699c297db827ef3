"""A training of a sweep: once on a machine, loaded after that with its weights, log and folder."""

import torch
from toy_task import ToyConfig, ToyTask, toy_data

from gantrans.training import FitConfig, History
from lessons.shared.trained import Trained, last_l1, trained


def train(root, monkeypatch, *, steps=3, key="a", **options) -> Trained:
    monkeypatch.setenv("GANTRANS_CACHE", str(root))
    return trained(
        lambda: ToyTask(ToyConfig(plain=True)),
        FitConfig(steps, precision="fp32", log_every=1, checkpoint_every=10**6),
        lambda: toy_data,
        name="toy",
        key=key,
        progress=False,
        device="cpu",
        **options,
    )


def test_the_second_call_loads_what_the_first_trained(tmp_path, monkeypatch, capsys) -> None:
    first = train(tmp_path, monkeypatch)
    assert capsys.readouterr().out.startswith("trained run ")
    again = train(tmp_path, monkeypatch)
    assert capsys.readouterr().out.startswith("loaded run ")
    untrained = ToyTask(ToyConfig(plain=True)).networks["generator"].state_dict()
    for name, weights in first.generator.state_dict().items():
        assert torch.equal(weights, again.generator.state_dict()[name])
        assert not torch.equal(weights, untrained[name])
    assert not any(network.training for network in again.networks.values())
    assert again.discriminator is again.networks["discriminator"]
    assert again.history.records == first.history.records
    assert len(again.history.records) == 3
    assert again.folder == first.folder


def test_steps_and_key_make_another_run(tmp_path, monkeypatch) -> None:
    folders = {
        train(tmp_path, monkeypatch, **changed).folder for changed in ({}, {"steps": 2}, {"key": "b"}, {})
    }
    assert len(folders) == 3


def test_what_is_shown_and_what_goes_to_fit(tmp_path, monkeypatch, capsys) -> None:
    def shown(history: History) -> dict[str, float]:
        return {"l1": history.records[-1]["l1"]}

    run = train(tmp_path, monkeypatch, shown=shown, extra={"note": 5})
    assert f"steps 3, l1 {run.history.records[-1]['l1']:.4g}" in capsys.readouterr().out
    assert last_l1(run.history) == {}
    assert Trained({"generator": None}, run.history, run.folder).discriminator is None


def test_the_l1_of_the_log_is_that_of_images_in_0_to_1(tmp_path) -> None:
    history = History()
    for step, loss in ((1, 0.5), (2, 0.25)):
        history.append({"step": step, "loss_l1": loss})
    assert last_l1(history) == {"L1": 0.125}
    assert Trained({}, history, tmp_path).curve == ([1, 2], [0.25, 0.125])
