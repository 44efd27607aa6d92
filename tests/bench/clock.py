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


def spawn(arguments, folder=".", file_actions=NOWHERE):
    here = os.getcwd()
    os.chdir(folder)
    try:
        return os.posix_spawn(arguments[0], arguments, ENVIRONMENT, file_actions=file_actions)
    finally:
        os.chdir(here)


def run(arguments, folder=".", file_actions=NOWHERE):
    """Runs a program to its end. Gives wall seconds, CPU seconds and peak memory in KiB (of the
    largest of its processes; never less than the memory of this script)."""
    arguments = [str(argument) for argument in arguments]
    started = time.perf_counter()
    process = spawn(arguments, folder, file_actions)
    _, status, usage = os.wait4(process, 0)
    wall = time.perf_counter() - started
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"{' '.join(arguments)} failed in {folder}: {status}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def run_telling(arguments, folder="."):
    """Runs a program whose last printed word is how many seconds its work took, without its own
    start. Gives these, wall seconds and peak memory in KiB."""
    reader, writer = os.pipe()
    with open(reader, encoding="utf-8") as told:
        wall, _, peak = run(arguments, folder, [(os.POSIX_SPAWN_DUP2, writer, 1)])
        os.close(writer)
        return float(told.read().split()[-1]), wall, peak


class Bench:
    """What is measured, by name, with the peak memory of each."""

    def __init__(self):
        self.measurements, self.peaks, self.whole = {}, {}, {}

    def add(self, name, *arguments, folder=".", prepare=None, tells=False):
        """Takes a program up. `prepare` is called before each run, outside of its time. Of a program
        that `tells` the seconds of its work these count; the whole process is printed beside it."""
        self.peaks[name] = 0
        if tells:
            self.whole[name] = []

        def measure():
            if prepare:
                prepare()
            if tells:
                counts, wall, peak = run_telling(arguments, folder)
                self.whole[name].append(wall)
            else:
                counts, _, peak = run(arguments, folder)
            self.peaks[name] = max(self.peaks[name], peak)
            return counts
        self.measurements[name] = measure

    def run(self, rounds, peers, warm=True):
        """Measures in turns, prints everything, gives wall seconds by name. `peers` are (name, peer,
        bar); those that were not taken up are left out."""
        raw = interleaved(rounds, self.measurements, warm)
        report(raw, [peer for peer in peers if set(peer[:2]) <= set(raw)])
        for name, walls in self.whole.items():
            walls = walls[-rounds:]
            print(f"{name}, whole process: median {statistics.median(walls) * 1000:.2f} ms  "
                  f"raw {milliseconds(walls)}")
        print("peak memory: " + ", ".join(
            f"{name} {peak / 1024:.1f} MiB" for name, peak in self.peaks.items()))
        return raw


def weather():
    one, five, fifteen = os.getloadavg()
    return f"{os.cpu_count()} cores, load {one:.2f} {five:.2f} {fifteen:.2f}"


def milliseconds(seconds):
    return " ".join(f"{value * 1000:.2f}" for value in seconds)


def interleaved(rounds, measurements, warm=True):
    """Runs every measurement once a round, so that all meet the same weather. Wall seconds by name.
    A first run of each, to warm the caches, is printed and does not count."""
    print(f"before: {weather()}")
    raw = {name: [] for name in measurements}
    if warm:
        first = [f"{name} {measure() * 1000:.2f}" for name, measure in measurements.items()]
        print(f"first runs in ms, not counted: {', '.join(first)}")
    for _ in range(rounds):
        for name, measure in measurements.items():
            raw[name].append(measure())
    print(f"after:  {weather()}")
    return raw


def report(raw, peers=()):
    """All raw figures in ms, the medians, and for each (name, peer) or (name, peer, bar) the median
    of the pairs' ratios, beside the bar, and of their differences."""
    width = max(map(len, raw))
    for name, seconds in raw.items():
        print(f"{name:{width}}  median {statistics.median(seconds) * 1000:9.2f} ms  "
              f"raw {milliseconds(seconds)}")
    for name, peer, *bar in peers:
        pairs = list(zip(raw[name], raw[peer]))
        ratio = statistics.median(a / b for a, b in pairs)
        difference = statistics.median(a - b for a, b in pairs) * 1000
        judged = "".join(f", bar {most}: {'met' if ratio <= most else 'MISSED'}" for most in bar)
        print(f"{name} / {peer}: {ratio:.3f} (median of {len(pairs)} pairs){judged}, "
              f"{difference:+.2f} ms")
