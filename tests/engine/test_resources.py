"""The division of a machine among parallel trials."""

import os
import subprocess
import sys

from trainer.engine.resources import Resources, divide


def test_single_trial_uses_the_whole_machine():
    assert divide(0, [], range(8)) == [Resources()]
    assert divide(1, ["0", "1"], range(8)) == [Resources()]


def test_cores_are_divided_without_overlap():
    assert [part.cores for part in divide(3, [], [0, 1, 2, 3, 4, 5, 6])] == [
        (0, 1),
        (2, 3),
        (4, 5),
    ]
    assert divide(3, [], [0, 1]) == [Resources()] * 3


def test_one_trial_per_accelerator():
    assert [part.accelerator for part in divide(0, ["0", "3"], range(8))] == ["0", "3"]


def test_trials_that_share_a_gpu_grow_into_its_memory():
    parts = divide(3, ["0", "3"], range(8))
    assert [part.accelerator for part in parts] == ["0", "3", "0"]
    growth = [part.environment({}).get("TF_FORCE_GPU_ALLOW_GROWTH") for part in parts]
    assert growth == ["true", None, "true"]
    assert str(parts[0]) == "GPU 0 (shared)"


def test_trial_does_not_inherit_cluster_variables():
    outer = {
        "TF_CONFIG": "{}", "KERASTUNER_TUNER_ID": "chief", "CLOUD_ML_TRIAL_ID": "1", "HOME": "/h",
    }  # fmt: skip
    assert Resources(accelerator="1").environment(outer) == {
        "HOME": "/h",
        "CUDA_VISIBLE_DEVICES": "1",
    }


def launched(parent, cores, code):
    launch = [sys.executable, "-m", "trainer.engine.launch", str(parent), cores]
    command = [*launch, sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_launched_process_is_bound_to_its_cores():
    core = min(os.sched_getaffinity(0))
    result = launched(os.getpid(), str(core), "import os; print(os.sched_getaffinity(0))")
    assert result.stdout.strip() == str({core}), result.stderr


def test_process_without_its_parent_does_not_start():
    result = launched(1 << 22, "", "print('trained')")
    assert result.returncode == 1
    assert result.stdout == ""


ORDER = """
import sys

order = []


def hook(event, arguments):
    if event in ("os.putenv", "os.unsetenv") and arguments[0] == b"TPU_LOAD_LIBRARY":
        order.append((event, *arguments[1:]))
    if event == "import" and arguments[0] == "tensorflow":
        order.append("tensorflow")


sys.addaudithook(hook)
import trainer.tune.search

print(list(dict.fromkeys(order)))
"""


def test_searching_process_leaves_the_tpu_to_its_trials():
    result = subprocess.run(
        [sys.executable, "-c", ORDER], capture_output=True, text=True, check=True
    )
    assert result.stdout == "[('os.putenv', b'0'), 'tensorflow', ('os.unsetenv',)]\n"
