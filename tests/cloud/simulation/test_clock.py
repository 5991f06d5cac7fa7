"""Processes that share the simulated time."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from simulation import launch
from simulation.clock import Clock

LAUNCH = launch.__file__


@pytest.fixture
def clock(tmp_path):
    clock = Clock(tmp_path / "clock")
    yield clock
    clock.close()


@pytest.fixture
def actor(clock, tmp_path):
    """Starts a program in simulated time."""
    started = []

    def actor(text, label="test"):
        path = tmp_path / f"program{len(started)}.py"
        path.write_text("import time, sys, os, subprocess\n" + textwrap.dedent(text))
        environment = clock.environment(label)
        process = subprocess.Popen(
            [sys.executable, LAUNCH, path],
            cwd=tmp_path,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        clock.announce(environment["SIMULATED_ACTOR"], process.pid)
        started.append(process)
        return process

    yield actor
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def finish(clock, *processes, limit=10**6):
    assert clock.run(lambda: all(p.poll() is not None for p in processes), limit)
    return [process.communicate()[0] for process in processes]


def test_hours_pass_in_a_moment_and_in_order(clock, actor, tmp_path):
    log = tmp_path / "log"
    program = """
        start = time.monotonic()
        for _ in range(3):
            time.sleep({seconds})
            with open("{log}", "a") as file:
                print({seconds}, round(time.monotonic() - start), file=file)
    """
    processes = [actor(program.format(seconds=s, log=log)) for s in (3600, 5000)]
    clock.after(4000, lambda: log.open("a").write("event\n"))
    began = time.monotonic()
    finish(clock, *processes)
    assert log.read_text().splitlines() == [
        *("3600 3600", "event", "5000 5000", "3600 7200"),
        *("5000 10000", "3600 10800", "5000 15000"),
    ]
    assert time.monotonic() - began < 10


def test_time_waits_for_a_process_that_works(clock, actor):
    busy = actor("end = time.perf_counter() + 0.5\nwhile time.perf_counter() < end: pass")
    times = []
    clock.after(1, lambda: times.append(busy.poll()))
    finish(clock, busy)
    assert clock.run(lambda: times, 10)
    assert times == [0]


def test_parent_waits_for_its_children(clock, actor):
    child = f"[{sys.executable!r}, {LAUNCH!r}, '-m', 'simulation_child']"
    process = actor(f"""
        open("simulation_child.py", "w").write("import time; time.sleep(100); print('slept')")
        began = time.monotonic()
        print(subprocess.run({child}, capture_output=True, text=True).stdout.strip())
        print(time.monotonic() - began)
        try:
            subprocess.run({child}, capture_output=True, timeout=30)
        except subprocess.TimeoutExpired:
            print("timeout", time.monotonic() - began)
        child = subprocess.Popen({child})
        try:
            child.wait(timeout=20)
        except subprocess.TimeoutExpired:
            print("timeout", time.monotonic() - began)
        print(child.wait(), time.monotonic() - began)
    """)
    (output,) = finish(clock, process)
    lines = output.splitlines()
    assert [line for line in lines if line != "slept"] == [
        *("100.0", "timeout 130.0", "timeout 150.0", "0 230.0")
    ]


def test_threads_wait_for_each_other(clock, actor):
    process = actor("""
        import concurrent.futures, queue, threading
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            print([*pool.map(lambda n: time.sleep(n) or n, [50, 100])])
        print(100 <= time.monotonic() - began <= 170)
        began = time.monotonic()
        print(threading.Event().wait(30), time.monotonic() - began)
    """)
    (output,) = finish(clock, process)
    assert output.splitlines() == ["[50, 100]", "True", "False 30.0"]


def test_killed_process_does_not_hold_time(clock, actor):
    process = actor("while True: pass")
    other = actor("time.sleep(50); print('over')")
    end = time.monotonic() + 1
    clock.run(lambda: time.monotonic() > end, 100)
    assert clock.now == 0
    process.kill()
    assert finish(clock, other) == ["over\n"]


def test_signal_interrupts_a_sleep(clock, actor):
    process = actor("""
        import signal
        def stop(*_):
            raise KeyboardInterrupt
        signal.signal(signal.SIGTERM, stop)
        try:
            time.sleep(10000)
        except KeyboardInterrupt:
            print("stopped", end=" ")
            began = time.monotonic()
            time.sleep(5)
            print(time.monotonic() - began)
    """)
    clock.after(100, lambda: clock.signal(process.pid, signal.SIGTERM))
    assert finish(clock, process) == ["stopped 5.0\n"]
    assert clock.now == 105


def test_suspended_laptop_does_not_hold_time(clock, actor):
    process = actor(
        """
        began, at = time.monotonic(), time.time()
        for _ in range(10):
            time.sleep(10)
        print(time.monotonic() - began, time.time() - at)
        """,
        label="submitter",
    )
    clock.after(55, lambda: clock.freeze("submitter"))
    clock.after(3655, lambda: clock.thaw("submitter"))
    assert finish(clock, process) == ["100.0 3700.0\n"]
