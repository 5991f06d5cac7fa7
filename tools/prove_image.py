"""Builds the Dockerfile and tests the image on Debian without Docker; see docs/decisions/0010.

    python tools/prove_image.py cpu [tpu]

Needs root, apt and a package index; exits with status 77 if the machine cannot build or run
images. It installs the Debian packages podman, runc and mmdebstrap; all other files are in
build/image.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "image"
# Exit status if this machine cannot build or run images.
EXIT_SKIPPED = 77
PROGRAMS = ("podman", "runc", "mmdebstrap")
BASE = "localhost/stand-in-base"
# This program must run on the same Python version as the base image, so that wheels fit both.
SUITE, PYTHON = "bookworm", (3, 11)
PODMAN = (
    "podman", "--root", str(BUILD / "storage"), "--runroot", str(BUILD / "run"),
    "--storage-driver", "overlay", "--runtime", "runc", "--cgroup-manager", "cgroupfs",
)  # fmt: skip
# The README's `docker run`, with options for machines without systemd and with low limits.
RUN = (
    *PODMAN, "run", "--read-only", "--tmpfs", "/tmp", "--network", "none", "--no-healthcheck",
    "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", "--env", "TPU_SKIP_MDS_QUERY=1",
)  # fmt: skip
TRAIN = ("train", "--config=configs/digits_cnn.py", "--workdir=/runs/digits")


def main(accelerators: Sequence[str]) -> None:
    """Builds and tests the image for each accelerator."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None or sys.version_info[:2] != PYTHON:
        _skip("this program needs root, Debian and Python 3.11")
    _install_programs()
    BUILD.mkdir(parents=True, exist_ok=True)
    _make_base()
    _run_or_skip(*RUN, "--rm", BASE, "true")
    for accelerator in accelerators:
        if accelerator not in ("cpu", "gpu", "tpu"):
            sys.exit(f"accelerator must be cpu, gpu or tpu. Received: {accelerator!r}")
        image = f"localhost/trainer:{accelerator}"
        with _timed(f"{image}: wheels"):
            wheels = _make_wheels(accelerator)
        with _timed(f"{image}: build"):
            _build(image, accelerator, wheels)
        size = int(_output(*PODMAN, "image", "inspect", "--format", "{{.Size}}", image))
        base = int(_output(*PODMAN, "image", "inspect", "--format", "{{.Size}}", BASE))
        print(f"{image}: {(size - base) / 1e9:.2f} GB above its base", flush=True)
        with _timed(f"{image}: test"):
            _test(image)


def _skip(reason: str) -> NoReturn:
    print(f"SKIPPED, THE IMAGE WAS NOT TESTED: {reason}", file=sys.stderr)
    sys.exit(EXIT_SKIPPED)


def _run_or_skip(*command: str) -> None:
    """Runs a command that depends only on the machine, not on the project."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        _skip(f"{' '.join(command)} failed: {done.stderr.strip()}")


@contextlib.contextmanager
def _timed(what: str) -> Iterator[None]:
    started = time.perf_counter()
    print(f"{what} …", flush=True)
    yield
    print(f"{what}: {time.perf_counter() - started:.0f} s", flush=True)


def _install_programs() -> None:
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if not missing:
        return
    print(f"installing Debian packages: {' '.join(missing)}", flush=True)
    options = ("-qq", "--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300")
    _run_or_skip("apt-get", "update", "-qq")
    _run_or_skip("apt-get", "install", *options, *missing)


def _make_base() -> None:
    """Creates a substitute for python:3.11-slim-bookworm: Debian with its own CPython."""
    if _succeeds(*PODMAN, "image", "exists", BASE):
        return
    archive = BUILD / "base.tar"
    packages = "ca-certificates,python3,python3-pip,python3-venv"
    with _timed(f"{BASE}: Debian {SUITE} with {packages}"):
        path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        _run_or_skip(
            "mmdebstrap", "--variant=minbase", f"--include={packages}", SUITE, str(archive)
        )
        _run_or_skip(*PODMAN, "import", "--change", path, str(archive), BASE)
        archive.unlink()


def _make_wheels(accelerator: str) -> Path:
    """Downloads all packages that the build installs, from the index configured here."""
    wheels = BUILD / f"wheels-{accelerator}"
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--use-pep517")
    lock = ROOT / "requirements" / f"{accelerator}.txt"
    subprocess.run([*pip, "--wheel-dir", str(wheels), "--requirement", str(lock)], check=True)
    return wheels


def _build(image: str, accelerator: str, wheels: Path) -> None:
    pip = BUILD / "pip.conf"
    pip.write_text("[global]\nno-index = true\nfind-links = /wheels\n")
    arguments = (
        "--isolation=chroot", "--pull=never", "--format=docker", "--layers", "--target=runtime",
        f"--build-arg=BASE_IMAGE={BASE}", f"--build-arg=ACCELERATOR={accelerator}",
        f"--secret=id=pip,src={pip}", f"--volume={wheels}:/wheels:ro", f"--tag={image}",
    )  # fmt: skip
    with (BUILD / f"build-{accelerator}.log").open("w") as log:
        built = subprocess.run([*PODMAN, "build", *arguments, ROOT], stdout=log, stderr=log)
    if built.returncode:
        sys.exit(f"the build failed; see {log.name}")


def _test(image: str) -> None:
    """Trains, stops, resumes in another container, and runs the health check."""
    volume = f"runs-{image.rpartition(':')[2]}"
    name = f"first-{volume}"
    _succeeds(*PODMAN, "rm", "--force", name)
    _succeeds(*PODMAN, "volume", "rm", "--force", volume)
    run = (*RUN, "--volume", f"{volume}:/runs")
    _output(*run, "--detach", "--name", name, image, *TRAIN)
    deadline = time.monotonic() + 300
    while "  train  " not in _output(*PODMAN, "logs", name):
        if time.monotonic() > deadline:
            sys.exit(f"no step within 300 s: {_output(*PODMAN, 'logs', name)}")
        time.sleep(0.2)
    _output(*PODMAN, "stop", "--time", "60", name)
    first = _output(*PODMAN, "logs", name)
    status = int(_output(*PODMAN, "wait", name))
    _output(*PODMAN, "rm", name)
    assert status == 75, f"stopped with {status}: {first}"

    second = _output(*run, "--rm", image, *TRAIN)
    assert "resuming at step" in second, second
    result = json.loads(_in(run, image, "cat", "/runs/digits/result.json"))
    assert result["metrics"]["test/accuracy"] > 0.95, result
    print(second.splitlines()[0], "|", *[x for x in second.splitlines() if "finished" in x])

    identity = _in(run, image, "sh", "-c", "id -u; touch /app/x /opt/venv/x; true").splitlines()
    assert identity[0] == "10001", identity
    assert sum("Read-only file system" in line for line in identity) == 2, identity
    assert "No module named pip" in _in(run, image, "sh", "-c", "python -m pip; true")
    health = json.loads(_output(*PODMAN, "image", "inspect", image))[0]["Healthcheck"]["Test"]
    started = time.perf_counter()
    assert health[0] == "CMD", health
    findings = _in(run, image, *health[1:])
    print(findings, f"health in {time.perf_counter() - started:.1f} s, container and all", sep="")
    print(_output(*run, "--rm", image, "doctor", "--workdir=/runs/digits"))


def _in(run: Sequence[str], image: str, program: str, *arguments: str) -> str:
    return _output(*run, "--rm", "--entrypoint", program, image, *arguments)


def _output(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"status {done.returncode} of {' '.join(command)}:\n{done.stdout}")
    return done.stdout


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


if __name__ == "__main__":
    main(sys.argv[1:])
