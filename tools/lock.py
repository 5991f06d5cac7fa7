"""Writes requirements/*.txt: the exact versions that are installed, for every Python at once.

    python tools/lock.py         all files
    python tools/lock.py tpu     only tpu.txt, near the versions that are locked already

Needs `uv` beside this Python, and a package index. The ranges come from setup.py and what
TF-Agents needs from pyproject.toml. Decision 0011 says why the lock exists.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "requirements"
OLDEST_PYTHON = "3.10"
# On Python 3.12 and later, setup.py does not ask for it.
TF_AGENTS = "tf-agents==0.19.0"
HEADER = "# Written by `make lock`; do not edit. Install with: pip install --no-deps -r {name}\n"
COMMON = "common.txt"


# The build for TPUs brings the module itself, and asks for a release of the package for Windows
# that does not exist.
NOT_WITH_TPU = ("tensorflow", "tensorflow-intel")


def main(arguments: Sequence[str]) -> None:
    """Resolves everything, then writes all files; with the argument `tpu`, only its file."""
    with tempfile.TemporaryDirectory() as folder:
        if [*arguments] == ["tpu"]:
            _lock_tpu(Path(folder), [*_read(COMMON), *_read("default.txt")])
        elif not arguments:
            _lock_all(Path(folder))
        else:
            sys.exit(f"the argument is tpu, or none. Received: {' '.join(arguments)}")


def _lock_all(scratch: Path) -> None:
    default = _resolve(scratch, "default")
    tensorflow = _of(default, "tensorflow")
    version = tensorflow.partition("==")[2]
    common = [line for line in default if line != tensorflow]
    gpu = _resolve(scratch, "gpu", extra="gpu", constraints=default)
    dev = _resolve(scratch, "dev", extra="dev", constraints=default)
    included = f"-r {COMMON}"
    _lock_tpu(scratch, default)
    _write(COMMON, common)
    _write("default.txt", [included, tensorflow])
    _write("cpu.txt", [included, f"tensorflow-cpu=={version}"])
    _write("gpu.txt", [included, *_without(gpu, common)])
    _write("dev.txt", _without(dev, default))


def _lock_tpu(scratch: Path, prefer: Sequence[str]) -> None:
    tpu = _resolve(scratch, "tpu", extra="tpu", excludes=NOT_WITH_TPU, prefer=prefer)
    _write("tpu.txt", tpu)


def _resolve(
    scratch: Path,
    name: str,
    extra: str = "",
    constraints: Sequence[str] = (),
    excludes: Sequence[str] = (),
    prefer: Sequence[str] = (),
) -> list[str]:
    """The newest versions that setup.py allows, one `name==version ; marker` per line.

    Args:
      scratch: an existing folder for intermediate files.
      name: of the result among these files.
      extra: an extra of setup.py to resolve too.
      constraints: lines that the result must agree with.
      excludes: packages to leave out, whatever asks for them.
      prefer: lines to follow where the requirements allow it.
    """
    output = scratch / f"{name}.txt"
    output.write_text("\n".join(prefer))
    inputs = scratch / "tf_agents.in"
    inputs.write_text(TF_AGENTS)
    arguments = ["--universal", f"--python-version={OLDEST_PYTHON}", f"--output-file={output}"]
    arguments += ["--quiet", "--no-header", "--no-annotate"]
    for option, lines in (("constraints", constraints), ("excludes", excludes)):
        if lines:
            file = scratch / f"{name}-{option}.txt"
            file.write_text("\n".join(lines))
            arguments += [f"--{option}={file}"]
    if extra:
        arguments += [f"--extra={extra}"]
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "pip", "compile", *arguments, "setup.py", inputs], cwd=ROOT, check=True)
    # Only packages: no index, no option and no comment of the machine that resolved.
    lines = output.read_text().splitlines()
    return [line for line in lines if line and not line.startswith(("-", "#", " "))]


def _of(lines: Iterable[str], package: str) -> str:
    """The one line of a package."""
    (line,) = (line for line in lines if line.startswith(f"{package}=="))
    return line


def _without(lines: Iterable[str], others: Iterable[str]) -> list[str]:
    known = set(others)
    return [line for line in lines if line not in known]


def _read(name: str) -> list[str]:
    """The packages that a file names itself."""
    lines = (FOLDER / name).read_text().splitlines()
    return [line for line in lines if not line.startswith(("-", "#"))]


def _write(name: str, lines: Iterable[str]) -> None:
    (FOLDER / name).write_text(HEADER.format(name=f"requirements/{name}") + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
