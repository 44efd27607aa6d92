#!/usr/bin/env python3
"""Kills `record`, `promote` and `rollback` with SIGKILL and has each wreck judged by judge.py: right
after the kill, and again after one command that writes.

    kill.py [--binary PATH] [--kills N] [--seed N] [--keep]

N kills are spread uniformly over the measured duration of the three commands. Then every gap
between two adjacent steps that was hit too seldom (20 times from 500 kills on) is aimed at: the
process notes its steps in a file, and is killed at a random moment after a step was seen. A gap
shorter than a kill takes to arrive is aimed at from the step before, and the aim is learnt.
Exits with 1 when there was a violation.
"""

import argparse
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from judge import Judgement

REPOSITORY = Path(__file__).resolve().parents[2]
NAMES = ("record", "promote", "rollback")
AIMED_TRIES_MAX = 2000
# A short campaign aims less; some gaps are a hundredth of a millisecond, and missing them is no fault.
AIMED_TRIES_SHORT = 100
# A gap shorter than this, in seconds, is over before a kill at its first sight arrives.
SHORT_GAP = 150e-6
# Registries are judged whole again and again; a young one is judged quickly.
KILLS_PER_PROJECT = 100


def build() -> Path:
    # Apart from target/release, so that no binary with open doors is ever taken for a release.
    target = REPOSITORY / "target" / "testing"
    command = ["cargo", "build", "--release", "--locked", "-p", "lineage-cli", "--features",
               "testing", "--target-dir", str(target)]
    subprocess.run(command, cwd=REPOSITORY, check=True)
    return target / "release" / "lineage"


def wait_until(moment: float):
    """Sleeps, and spins at the end: a sleep alone is too coarse to aim with."""
    # The clock goes on between looking at it and sleeping.
    time.sleep(max(0.0, moment - time.perf_counter() - 0.001))
    while time.perf_counter() < moment:
        pass


class Project:
    """Three versions of `fraud` with a pointer file, and a model `other` beside it."""

    def __init__(self, root: Path, binary: Path, chance: random.Random):
        self.root, self.binary, self.chance = root / "project", binary, chance
        self.root.mkdir(parents=True)
        self.last = None
        self.steps = root / "steps"
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(root),
                            "LINEAGE_ACTOR": "Kill Test <kill@example.org>"}
        self.run("init", "--pointer-file", "fraud=PROD_POINTER.txt")
        for number in (1, 2, 3):
            self.record("fraud", f"v{number}")
        self.record("other", "other")
        for number in (1, 2, 3):
            self.run("promote", "fraud", "--version", str(number))
        self.settle()

    def write(self, folder: str):
        path = self.root / folder / "model.bin"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(self.chance.randbytes(self.chance.randrange(1, 30_000)))
        return f"{folder}/model.bin"

    def run(self, *arguments):
        self.last = None
        done = subprocess.run([self.binary, *arguments], cwd=self.root, env=self.environment,
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"VIOLATION: {' '.join(arguments)} exited with {done.returncode}:\n"
                             f"{done.stderr}\nproject: {self.root}")

    def record(self, model, folder):
        self.run("record", model, "--artifact", self.write(folder), "--metric", "test.auc=0.5")

    def settle(self):
        """One command that writes, has nothing to do with `fraud`, and so repairs in passing."""
        if self.chance.random() < 0.5:
            self.record("other", "other")
        else:
            self.run("promote", "other", "--version", "1", "--pointer", f"p{time.time_ns()}")

    def prepare(self, name):
        """Arguments of the command, and what the pointer file holds when it is through."""
        before = self.last or self.judge(interrupted=False)
        stack = before.fold.stacks["fraud", "prod"]
        live = stack[-1][0]
        if name == "record":
            artifact = self.write("train")
            (self.root / "train.csv").write_text(f"a,b\n1,{time.time_ns()}\n")
            arguments = ["record", "fraud", "--artifact", artifact, "--data", "training=train.csv",
                         "--metric", "test.auc=0.93", "--param", "depth=6", "--tag", "by=kill"]
            return before, arguments, before.fold.served["fraud", "prod"][-1]
        if name == "promote":
            target = live % 3 + 1
            arguments = ["promote", "fraud", "--version", str(target), "--allow-quarantined"]
            return before, arguments, f"v{target}/model.bin"
        target = before.fold.rollback_target("fraud", "prod")
        if target is None:
            self.run("promote", "fraud", "--version", str(live % 3 + 1), "--allow-quarantined")
            self.settle()
            return self.prepare(name)
        return before, ["rollback", "fraud", "--reason", "killed"], f"v{target}/model.bin"

    def judge(self, interrupted):
        judgement = Judgement(self.root, interrupted)
        self.last = None if interrupted else judgement
        return judgement

    def spawn(self, arguments):
        self.last = None
        self.steps.write_bytes(b"")
        self.noted = os.open(self.steps, os.O_RDONLY)
        return subprocess.Popen(
            [self.binary, *arguments], cwd=self.root, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=self.environment | {"LINEAGE_TEST_STEPS": str(self.steps)})

    def passed(self):
        os.close(self.noted)
        return self.steps.read_text().split()

    def noted_bytes(self):
        return os.fstat(self.noted).st_size


class Timing:
    """The steps of a command and, in seconds from its start, when they are passed."""

    def __init__(self, project: Project, name: str):
        runs = []
        for _ in range(9):
            _, arguments, _ = project.prepare(name)
            started = time.perf_counter()
            process = project.spawn(arguments)
            seen, moments = 0, []
            while process.poll() is None:
                now = project.noted_bytes()
                if now > seen:
                    seen = now
                    moments.append((now, time.perf_counter() - started))
            ended = time.perf_counter() - started
            steps = project.passed()
            sizes = [sum(len(step) + 1 for step in steps[:i + 1]) for i in range(len(steps))]
            at = [next((t for size, t in moments if size >= s), ended) for s in sizes]
            runs.append((steps, at, ended))
            project.settle()
        self.steps = runs[0][0]
        if not self.steps:
            raise SystemExit("the binary tells no steps: build it with --features testing")
        if any(steps != self.steps for steps, _, _ in runs):
            raise SystemExit(f"{name} does not always pass the same steps: {runs}")
        self.sizes = sizes
        self.at = [statistics.median(run[1][i] for run in runs) for i in range(len(self.steps))]
        self.duration = statistics.median(run[2] for run in runs)

    def gaps(self):
        return ["(start)", *self.steps]

    def length(self, gap):
        edges = [0.0, *self.at, self.duration]
        return max(edges[gap + 1] - edges[gap], 20e-6)


class Aim:
    """After which step to fire at a gap, and how long after it."""

    def __init__(self, timing: Timing, gap: int):
        self.gap, self.length = gap, timing.length(gap)
        self.short = gap > 0 and self.length < SHORT_GAP
        self.trigger = gap - 1 if self.short else gap
        self.delay = timing.length(self.trigger) if self.short else 0.0

    def moment(self, chance: random.Random) -> float:
        return self.delay + chance.uniform(0, self.length)

    def learn(self, hit: int):
        """Too early is later next time, and the other way round; hits settle in between."""
        if self.short and hit != self.gap:
            self.delay = max(0.0, self.delay + (8e-6 if hit < self.gap else -8e-6))


class Campaign:
    def __init__(self, folder, binary, chance):
        self.folder, self.binary, self.chance = folder, binary, chance
        self.finished, self.kills, self.violations, self.projects = 0, 0, 0, 0
        self.new_project()
        self.timings = {name: Timing(self.project, name) for name in NAMES}
        self.hits = {name: Counter() for name in NAMES}

    def new_project(self):
        self.projects += 1
        self.project = Project(self.folder / str(self.projects), self.binary, self.chance)

    def kill(self, name, aim=None):
        """One kill, at a uniform moment or as aimed. Gives the number of steps passed."""
        project, timing = self.project, self.timings[name]
        before, arguments, content = project.prepare(name)
        moment = aim.moment(self.chance) if aim else self.chance.uniform(0, timing.duration)
        size = timing.sizes[aim.trigger - 1] if aim and aim.trigger else 0
        started = time.perf_counter()
        process = project.spawn(arguments)
        if aim and aim.trigger:
            # Not `poll`: asking the system each time would cost more than some gaps last.
            while project.noted_bytes() < size and time.perf_counter() < started + 10:
                pass
            started = time.perf_counter()
        wait_until(started + moment)
        os.kill(process.pid, signal.SIGKILL)
        killed = process.wait() == -signal.SIGKILL
        passed = project.passed()
        if killed:
            self.kills += 1
            self.hits[name][len(passed)] += 1
        else:
            self.finished += 1
        self.check(name, before, content, passed, timing)
        if self.kills >= self.projects * KILLS_PER_PROJECT:
            self.new_project()
        return len(passed)

    def check(self, name, before, content, passed, timing):
        old, new = before.fold.served["fraud", "prod"][-1], content
        after = self.project.judge(interrupted=True)
        found = list(after.violations)
        moved = after.head - before.head
        file = (self.project.root / "PROD_POINTER.txt").read_text().strip()
        if passed != timing.steps[:len(passed)]:
            found.append(f"unexpected steps {passed}")
        if not 0 <= moved <= 1:
            found.append(f"one command appended {moved} events")
        if "committed" in passed and moved != 1:
            found.append("it was committed and is not in the log")
        if "entry-appended" not in passed and moved != 0:
            found.append("an event is in the log before it was appended")
        if file not in (old, new) or (moved == 0 and file != old):
            found.append(f"the pointer file names {file}, not {old} or {new}")
        if "pointer-placed" in passed and file != new:
            found.append(f"the pointer file was placed and names {file}")
        self.project.settle()
        later = self.project.judge(interrupted=False)
        found += later.violations
        file = (self.project.root / "PROD_POINTER.txt").read_text().strip()
        if file != (new if moved else old):
            found.append(f"after the repair the pointer file names {file}")
        if later.head != after.head + 1:
            found.append("the repairing command did not append exactly one event")
        for text in found:
            self.violations += 1
            print(f"VIOLATION: {name} killed after {passed[-1:] or 'start'}: {text}", flush=True)

    def run(self, kills, per_gap, tries_max, gaps_count):
        while self.kills < kills:
            self.kill(NAMES[self.kills % 3])
        uniform = self.kills
        for name in NAMES:
            for gap in range(len(self.timings[name].gaps())):
                aim, tries = Aim(self.timings[name], gap), 0
                while self.hits[name][gap] < per_gap and tries < tries_max:
                    aim.learn(self.kill(name, aim))
                    tries += 1
        print(f"{uniform} kills at uniform moments, {self.kills - uniform} aimed at gaps hit less "
              f"than {per_gap} times; {self.finished} came after the end and do not count")
        missed = 0
        for name in NAMES:
            timing = self.timings[name]
            print(f"\n{name}: {timing.duration * 1000:.2f} ms, "
                  f"{sum(self.hits[name].values())} kills\n  last completed step            at ms  kills")
            for gap, step in enumerate(timing.gaps()):
                at = ([0.0] + timing.at)[gap] * 1000
                count = self.hits[name][gap]
                missed += count < per_gap
                print(f"  {step:28} {at:7.2f} {count:6}  {'#' * min(count // 4, 60)}")
        print(f"\n{self.kills} kills, {self.violations} violations, {missed} gaps hit too seldom")
        return self.violations or (missed if gaps_count else 0)


def main():
    parser = argparse.ArgumentParser(description="Kills lineage and has the wrecks judged.")
    parser.add_argument("--binary", type=Path, help="built with --features testing")
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave the project for a look")
    arguments = parser.parse_args()
    binary = (arguments.binary or build()).resolve()
    chance = random.Random(arguments.seed)
    full = arguments.kills >= 500
    per_gap = 20 if full else arguments.kills // 30
    tries_max = AIMED_TRIES_MAX if full else AIMED_TRIES_SHORT
    folder = tempfile.mkdtemp(prefix="lineage-kill-")
    started = time.time()
    campaign = Campaign(Path(folder), binary, chance)
    failed = campaign.run(arguments.kills, per_gap, tries_max, full)
    print(f"{time.time() - started:.0f} s")
    if arguments.keep or failed:
        print(f"the project is {folder}")
    else:
        shutil.rmtree(folder)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
