"""Writes requirements/*.txt: the exact versions that are installed, for every Python at once.

    python tools/lock.py

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


def main() -> None:
    """Resolves everything, then writes all files."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        default = _resolve(scratch, "default")
        tensorflow = _of(default, "tensorflow")
        version = tensorflow.partition("==")[2]
        common = [line for line in default if line != tensorflow]
        gpu = _resolve(scratch, "gpu", extra="gpu", constraints=default)
        dev = _resolve(scratch, "dev", extra="dev", constraints=default)
        # `tensorflow` itself is resolved at the version of the build for TPUs, then left out.
        tpu = _resolve(scratch, "tpu", extra="tpu", override="tensorflow==2.20.0", prefer=default)
    included = f"-r {COMMON}"
    _write(COMMON, common)
    _write("default.txt", [included, tensorflow])
    _write("cpu.txt", [included, f"tensorflow-cpu=={version}"])
    _write("gpu.txt", [included, *_without(gpu, common)])
    _write("tpu.txt", [line for line in tpu if line != _of(tpu, "tensorflow")])
    _write("dev.txt", _without(dev, default))


def _resolve(
    scratch: Path,
    name: str,
    extra: str = "",
    constraints: Sequence[str] = (),
    override: str = "",
    prefer: Sequence[str] = (),
) -> list[str]:
    """The newest versions that setup.py allows, one `name==version ; marker` per line.

    Args:
      scratch: an existing folder for intermediate files.
      name: of the result among these files.
      extra: an extra of setup.py to resolve too.
      constraints: lines that the result must agree with.
      override: a requirement that replaces what any package asks for.
      prefer: lines to follow where the requirements allow it.
    """
    output = scratch / f"{name}.txt"
    output.write_text("\n".join(prefer))
    inputs = scratch / "tf_agents.in"
    inputs.write_text(TF_AGENTS)
    arguments = ["--universal", f"--python-version={OLDEST_PYTHON}", f"--output-file={output}"]
    arguments += ["--quiet", "--no-header", "--no-annotate"]
    for option, lines in (("constraint", constraints), ("override", [override])):
        if any(lines):
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


def _write(name: str, lines: Iterable[str]) -> None:
    (FOLDER / name).write_text(HEADER.format(name=f"requirements/{name}") + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
