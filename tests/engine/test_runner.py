"""What a run does about damage, a full disk and signals, as real processes."""

import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainer.compat.keras import tf
from trainer.engine.checkpoints import Checkpoints
from trainer.engine.lock import held
from trainer.engine.runner import checkpoint_of, select_checkpoint

ARGUMENTS = (
    "train",
    "--config=configs/digits_cnn.py",
    "--config.model.kind=mlp",
    "--config.train.steps=60",
    "--config.train.report_every=20",
    "--config.train.evaluate_every=20",
)
SMALL = (*ARGUMENTS, "--config.model.units=8")


def test_a_damaged_best_checkpoint_is_not_passed_off_as_the_best(tmp_path, capsys):
    checkpoints = Checkpoints(str(tmp_path / "checkpoints"), keep=2)
    for step in (1, 2, 3):
        checkpoints.save(step, {"x": tf.Variable(step)}, {}, {"best_step": 1}, best_step=1)
    selection = select_checkpoint(checkpoints, "best")
    assert (selection.found.step, selection.kind) == (1, "best")
    assert select_checkpoint(checkpoints, "last").kind == "last"

    (tmp_path / "checkpoints" / "00000001" / "state-0.index").write_bytes(b"")
    selection = select_checkpoint(checkpoints, "best")
    assert (selection.found.step, selection.kind) == (3, "last")
    assert capsys.readouterr().err == ""
    assert checkpoint_of(str(tmp_path), "best").step == 3
    assert capsys.readouterr().err == (
        "the best checkpoint, of step 1, is corrupt (state-0.index has changed since it was "
        "written); using the checkpoint of step 3\n"
    )


def test_a_second_process_in_the_work_directory_is_refused(tmp_path, start):
    with held(str(tmp_path)):
        process = start(*SMALL, f"--workdir={tmp_path}")
        _, error = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"error: another process is training in --workdir={tmp_path}" in error
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def wait_for_handler(process):
    """Returns once the process handles SIGTERM."""
    status = Path(f"/proc/{process.pid}/status")
    while True:
        (mask,) = (line.split()[1] for line in status.read_text().splitlines() if "SigCgt" in line)
        if int(mask, 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.01)


@pytest.mark.parametrize("after", [0.0, 1.5, 3.0])
def test_a_signal_before_training_is_answered_soon(after, tmp_path, start):
    process = start(*SMALL, "--config.train.steps=1000000", f"--workdir={tmp_path / 'run'}")
    wait_for_handler(process)
    time.sleep(after)
    process.send_signal(signal.SIGTERM)
    sent = time.monotonic()
    _, error = process.communicate(timeout=60)
    assert time.monotonic() - sent < 10
    assert process.returncode == 75, error
    assert "run the same command to resume" in error


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs a mount namespace")
def test_a_full_disk_is_one_line_and_damages_nothing(tmp_path, request):
    disk = tmp_path / "disk"
    disk.mkdir()
    arguments = (*ARGUMENTS, "--config.model.units=1024", f"--workdir={disk / 'run'}")
    train = shlex.join([sys.executable, "-m", "trainer", *arguments])
    script = f"""
        mount -t tmpfs -o size=12m tmpfs {disk} || exit 77
        head -c 10300k /dev/zero > {disk}/filler
        {train}
        echo "status $?"
        rm {disk}/filler
        {train}
        echo "status $?"
    """
    process = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script],
        cwd=request.config.rootpath,
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode == 77 or "unshare failed" in process.stderr:
        pytest.skip("mounting is not permitted")
    statuses = [line for line in process.stdout.splitlines() if line.startswith("status")]
    assert statuses == ["status 2", "status 0"], process.stderr
    assert "Traceback" not in process.stderr
    (line,) = (line for line in process.stderr.splitlines() if line.startswith("error:"))
    assert f"the disk of --workdir={disk / 'run'} is full: the last complete checkpoint" in line
    assert "resuming at step" in process.stderr
