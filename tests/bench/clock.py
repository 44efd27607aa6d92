"""What the measuring scripts have in common: running a program, and saying what came out."""

import os
import shutil
import statistics
import subprocess
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"),
               "LINEAGE_ACTOR": "Bench <bench@example.org>"}
NOWHERE = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
           (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]


def program(name):
    """The full path of a program, so that no search of PATH is measured."""
    found = shutil.which(name)
    if found is None:
        raise SystemExit(f"{name} is needed")
    return found


def build(*what):
    subprocess.run(["cargo", "build", "--release", "--locked", *what], cwd=REPOSITORY, check=True)
    return REPOSITORY / "target" / "release"


def spawn(arguments, folder="."):
    here = os.getcwd()
    os.chdir(folder)
    try:
        return os.posix_spawn(arguments[0], arguments, ENVIRONMENT, file_actions=NOWHERE)
    finally:
        os.chdir(here)


def run(arguments, folder="."):
    """Runs a program to its end. Gives wall seconds, CPU seconds and peak memory in KiB."""
    arguments = [str(argument) for argument in arguments]
    started = time.perf_counter()
    process = spawn(arguments, folder)
    _, status, usage = os.wait4(process, 0)
    wall = time.perf_counter() - started
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"{' '.join(arguments)} failed in {folder}: {status}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def interleaved(rounds, measurements):
    """Runs every measurement once a round, so that all meet the same weather. Wall seconds by name."""
    raw = {name: [] for name in measurements}
    for measure in measurements.values():
        measure()
    for _ in range(rounds):
        for name, measure in measurements.items():
            raw[name].append(measure())
    return raw


def report(raw, peers=()):
    """All raw figures in ms, the medians, and for each (name, peer) the median of the pairs' ratios
    and of their differences."""
    width = max(map(len, raw))
    for name, seconds in raw.items():
        figures = " ".join(f"{value * 1000:.2f}" for value in seconds)
        print(f"{name:{width}}  median {statistics.median(seconds) * 1000:9.2f} ms  raw {figures}")
    for name, peer in peers:
        pairs = list(zip(raw[name], raw[peer]))
        ratio = statistics.median(a / b for a, b in pairs)
        difference = statistics.median(a - b for a, b in pairs) * 1000
        print(f"{name} / {peer}: {ratio:.3f} (median of {len(pairs)} pairs), {difference:+.2f} ms")
