"""Exported policies act as the agents do, with TensorFlow alone."""

import json

import numpy as np
import pytest

from trainer.cli.main import run
from trainer.export.checking import Call, Checker


@pytest.mark.parametrize("agent", ["cartpole", "pendulum"])
@pytest.mark.parametrize("kind", ["saved_model", "policy"])
def test_a_policy_is_compared_with_the_agent(agent, kind, request, tmp_path):
    workdir, output = request.getfixturevalue(agent), tmp_path / "export"
    command = ["export", f"--workdir={workdir}", f"--output={output}"]
    assert run([*command, f"--format={kind}"]) == 0
    assert json.loads((output / "export.json").read_text())["format"] == kind
    assert run([*command, "--check"]) == 0
    assert "| task | rl |" in (output / "model_card.md").read_text()


def test_an_export_that_acts_differently_is_not_written(cartpole, tmp_path, capsys, monkeypatch):
    exact = Checker.outputs
    monkeypatch.setattr(Checker, "outputs", lambda *args: [1 - o for o in exact(*args)])
    command = ["export", f"--workdir={cartpole}", f"--output={tmp_path / 'x'}"]
    assert run([*command, "--format=saved_model"]) == 2
    assert "outputs differ by up to 1" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_actions_are_within_their_bounds(pendulum, tmp_path):
    output = tmp_path / "export"
    command = ["export", f"--workdir={pendulum}", f"--output={output}", "--format=saved_model"]
    assert run(command) == 0
    observation = np.random.default_rng(0).normal(0, 5, (20, 3)).astype(np.float32)
    call = Call("serving_default", {"observation": observation}, "action", np.zeros(0))
    with Checker("saved_model") as checker:
        (actions,) = checker.outputs(str(output), [call])
    assert actions.shape == (20, 1)
    assert np.abs(actions).max() <= 2


def test_formats_of_networks_are_refused(cartpole, tmp_path, capsys):
    command = ["export", f"--workdir={cartpole}", f"--output={tmp_path / 'x'}", "--format=onnx"]
    assert run(command) == 2
    assert "unknown value of --format. Known: policy, saved_model" in capsys.readouterr().err
