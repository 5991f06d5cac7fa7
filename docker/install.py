"""Installs what setup.py requires, with the build of TensorFlow that an accelerator needs.

    python3 docker/install.py ENVIRONMENT cpu|gpu|tpu [EXTRA…]

Run it beside setup.py, with any Python whose pip is 22.3 or newer; ENVIRONMENT is a virtual
environment. One pip command cannot do this: the builds of TensorFlow for CPUs alone and for
TPUs are packages of other names with the same files in them, and tf_keras and the package
itself ask for `tensorflow`, the large one.
"""

import re
import subprocess
import sys

_LIST = "import importlib.metadata as m; print(*m.requires('trainer'), sep='\\n')"


def choose(listed: str, accelerator: str, *extras: str) -> tuple[list[str], str]:
    """The requirements to install together, and that of tf_keras to install alone.

    Args:
      listed: the package's requirements, one a line, as its metadata lists them.
      accelerator: cpu, gpu or tpu: the extra whose build takes the place of `tensorflow`.
      extras: others to install too.
    """
    chosen = _of_extra(listed, "")
    del chosen["tensorflow"]
    for extra in (accelerator, *extras):
        chosen |= _of_extra(listed, extra)
    keras = chosen.pop("tf_keras")
    return list(chosen.values()), keras


def _of_extra(listed: str, extra: str) -> dict[str, str]:
    """From a package's name to its requirement, of an extra or, for "", of none."""
    found = {}
    for line in listed.splitlines():
        requirement, _, marker = line.partition(";")
        of_extra = re.search(r"extra == ['\"](.*)['\"]", marker)
        if extra == (of_extra[1] if of_extra else ""):
            found[re.split(r"[^\w-]", requirement)[0]] = requirement.strip()
    return found


def main(environment: str, accelerator: str, *extras: str) -> None:
    """Makes ENVIRONMENT ready to run the package that lies in this folder."""
    python = f"{environment}/bin/python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-cache-dir")
    subprocess.run([*pip, "--no-deps", "--use-pep517", "--editable", "."], check=True)
    listed = subprocess.run([python, "-c", _LIST], check=True, text=True, stdout=subprocess.PIPE)
    packages, keras = choose(listed.stdout, accelerator, *extras)
    subprocess.run([*pip, *packages], check=True)
    subprocess.run([*pip, "--no-deps", keras], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
