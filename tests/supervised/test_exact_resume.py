"""Real processes, really killed: the end is that of a run that was left alone, bit for bit."""

import signal

import pytest

from trainer.cli.main import run
from trainer.engine.distribution import Runtime

ARGUMENTS = (
    "train",
    "--config=configs/digits_cnn.py",
    "--config.model.filters=8,8",
    "--config.model.units=16",
    "--config.model.dropout=0.2",
    "--config.optimizer.schedule.kind=cosine",
    "--config.augment=crop,mixup",
    "--config.augment.0.padding=1",
    "--config.train.ema_decay=0.99",
    "--config.train.micro_batches=2",
    "--config.train.steps=600",
    "--config.train.global_batch_size=32",
    "--config.train.report_every=50",
    "--config.train.evaluate_every=100",
    "--config.train.checkpoint_every=30",
)


def command(workdir):
    return (*ARGUMENTS, f"--workdir={workdir}")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, request):
    import subprocess
    import sys

    workdir = tmp_path_factory.mktemp("runs") / "undisturbed"
    subprocess.run(
        [sys.executable, "-m", "trainer", *command(workdir)],
        cwd=request.config.rootpath,
        check=True,
        capture_output=True,
    )
    return workdir


@pytest.mark.parametrize("after", [0, 120])
def test_sigkill(after, tmp_path, start, undisturbed, progress, state_digest):
    workdir = tmp_path / "run"
    killed = start(*command(workdir))
    progress.wait_for_step(workdir, after, killed)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL

    again = start(*command(workdir))
    _, errors = again.communicate()
    assert again.returncode == 0, errors
    assert state_digest(workdir) == state_digest(undisturbed)
    assert progress.records(workdir) == progress.records(undisturbed)


def test_a_signal_stops_with_the_state_saved(tmp_path, start, undisturbed, progress, state_digest):
    workdir = tmp_path / "run"
    stopped = start(*command(workdir))
    progress.wait_for_step(workdir, 60, stopped)
    stopped.send_signal(signal.SIGINT)
    _, errors = stopped.communicate()
    assert stopped.returncode == 75, errors
    assert "run the same command to resume" in errors
    assert "Traceback" not in errors
    assert not (workdir / "result.json").exists()

    again = start(*command(workdir))
    _, errors = again.communicate()
    assert again.returncode == 0, errors
    assert "resuming at step" in errors
    assert state_digest(workdir) == state_digest(undisturbed)
    assert progress.records(workdir) == progress.records(undisturbed)


def test_the_newest_checkpoint_truncated(tmp_path, start, undisturbed, progress, state_digest):
    workdir = tmp_path / "run"
    killed = start(*command(workdir))
    progress.wait_for_step(workdir, 120, killed)
    killed.kill()
    killed.wait()
    # Half-written folders of the kill aside, the newest one that counts.
    whole = sorted(path.parent for path in workdir.glob("checkpoints/*/manifest.json"))
    newest, before = whole[-1], whole[-2]
    (data,) = newest.glob("state-*.data-00000-of-00001")
    data.write_bytes(data.read_bytes()[:-1])

    again = start(*command(workdir))
    _, errors = again.communicate()
    assert again.returncode == 0, errors
    assert f"{newest} is corrupt" in errors
    assert f"resuming at step {int(before.name)} from {before}" in errors
    assert state_digest(workdir) == state_digest(undisturbed)
    assert progress.records(workdir) == progress.records(undisturbed)


def test_batch_norm_and_dropout_on_two_replicas(tmp_path, monkeypatch, progress, state_digest):
    """The moving statistics of the replicas differ unless each update synchronizes them."""
    arguments = (
        *ARGUMENTS,
        "--config.model.filters=4",
        "--config.model.batch_norm=true",
        "--config.train.steps=40",
        "--config.train.evaluate_every=5",
        "--config.train.report_every=5",
        "--config.train.checkpoint_every=20",
        "--strategy=mirrored",
        "--virtual_devices=2",
    )
    undisturbed, stopped = tmp_path / "undisturbed", tmp_path / "stopped"
    assert run([*arguments, f"--workdir={undisturbed}"]) == 0
    asked = iter(range(10**6))
    sum_over_workers = Runtime.sum_over_workers

    def stop_in_time(self, value):
        return sum_over_workers(self, value or float(next(asked) >= 4))

    monkeypatch.setattr(Runtime, "sum_over_workers", stop_in_time)
    assert run([*arguments, f"--workdir={stopped}"]) == 75
    monkeypatch.undo()
    (last,) = (record["step"] for record in progress.records(stopped)[-1:])
    assert 5 <= last < 35
    assert run([*arguments, f"--workdir={stopped}"]) == 0
    assert progress.records(stopped) == progress.records(undisturbed)
    assert state_digest(stopped) == state_digest(undisturbed)
