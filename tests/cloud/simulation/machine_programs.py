"""Programs of a machine: `machine_programs.py NAME ARGUMENT…`, run by `launch.py`.

They take simulated time and do nothing else, except `trainer`, which is `simulated_trainer.py`,
and `venv`, which makes an environment of these programs.
"""

import os
import runpy
import shutil
import sys
import time
from pathlib import Path

SECONDS = {"pip": 60.0, "venv": 5.0, "apt-get": 20.0, "nvidia-smi": 1.0, "curl": 1.0}


def make_environment(arguments):
    """`python3 -m venv FOLDER`."""
    programs = Path(os.environ["SIMULATED_PYTHON"]).parent
    folder = Path(arguments[-1]) / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("python", "python3", "pip", "trainer"):
        shutil.copy(programs / name, folder / name)


def replace_by(command):
    """Runs another program in this process."""
    os.execvp(command[0], command)


def run_trainer(arguments):
    """Runs in this process, which holds simulated time."""
    program = str(Path(__file__).parent / "simulated_trainer.py")
    sys.argv = [program, *arguments]
    runpy.run_path(program, run_name="__main__")


def run_docker(arguments):
    """`docker run … IMAGE train …` and everything else, which takes a few seconds."""
    if arguments[:1] != ["run"]:
        time.sleep(60 if arguments[:1] == ["pull"] else 2)
        return
    start = next(n for n, word in enumerate(arguments) if "docker.pkg.dev/" in word)
    run_trainer(arguments[start + 1 :])


def main():
    name, *arguments = sys.argv[1:]
    if name == "sleep":
        time.sleep(float(arguments[0]))
    elif name == "sudo":
        replace_by([word for word in arguments if not word.startswith("-")])
    elif name == "trainer":
        run_trainer(arguments)
    elif name == "docker":
        run_docker(arguments)
    else:
        time.sleep(SECONDS[name])
    if name == "venv":
        make_environment(arguments)


if __name__ == "__main__":
    main()
