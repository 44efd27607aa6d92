#!/usr/bin/env python3
"""How many `lineage record` a second, one after the other and many at once, beside a control that
starts, opens the same database, makes as many flushes and commits one row
(lineage-core/examples/control.rs), each in a fresh copy of one project.

    throughput.py [--binary PATH --control PATH] [--pairs N] [--records N] [--folder DIR]
"""

import argparse
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from clock import ENVIRONMENT, build, interleaved, report, run, spawn


def flushes(command, project):
    """How many fsync and fdatasync a command makes, as strace counts them."""
    summary = subprocess.run(
        ["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o", "/dev/stdout", *command],
        cwd=project, env=ENVIRONMENT, check=True, capture_output=True, text=True)
    return len(re.findall(r"\bf(?:data)?sync\(", summary.stdout))


class Bench:
    def __init__(self, folder, binary, control, records):
        self.folder, self.binary, self.control, self.records = folder, binary, control, records
        self.template, self.copies = folder / "template", 0
        for number in range(records):
            path = self.template / str(number) / "model.bin"
            path.parent.mkdir(parents=True)
            path.write_bytes(os.urandom(4096))
        run((binary, "init"), self.template)
        run(self.record(0), self.template)
        copy = self.copy()
        counted = flushes(self.record(1), copy)
        # Once more, since the first run makes the control's table.
        flushes((control, ".lineage", "0"), copy)
        own = flushes((control, ".lineage", "0"), copy)
        self.more = counted - own
        print(f"one record makes {counted} flushes; the control {own} and {self.more} more: "
              f"{flushes(self.equal(0), copy)}")
        shutil.rmtree(copy)

    def record(self, number):
        return str(self.binary), "record", "fraud", "--artifact", f"{number}/model.bin"

    def equal(self, number):
        return str(self.control), ".lineage", str(self.more)

    def copy(self):
        self.copies += 1
        return Path(shutil.copytree(self.template, self.folder / f"copy-{self.copies}"))

    def measure(self, command, at_once):
        """Seconds for all records, per record."""
        def once():
            project = self.copy()
            os.sync()
            started = time.perf_counter()
            if at_once:
                running = [spawn(command(number), project) for number in range(self.records)]
                codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in running]
            else:
                codes = [0 for number in range(self.records) if run(command(number), project)]
            wall = time.perf_counter() - started
            if any(codes):
                raise SystemExit(f"exit codes {codes} in {project}")
            shutil.rmtree(project)
            return wall / self.records
        return once


def main():
    parser = argparse.ArgumentParser(description="Measures the throughput of `lineage record`.")
    parser.add_argument("--binary", type=Path)
    parser.add_argument("--control", type=Path)
    parser.add_argument("--pairs", type=int, default=11)
    parser.add_argument("--records", type=int, default=100)
    parser.add_argument("--folder", type=Path, help="where to make the projects")
    arguments = parser.parse_args()
    binary = arguments.binary or build("-p", "lineage-cli") / "lineage"
    control = arguments.control or build("-p", "lineage-core", "--example", "control") \
        / "examples" / "control"
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="lineage-bench-") as folder:
        bench = Bench(Path(folder), binary.resolve(), control.resolve(), arguments.records)
        names = {"one after the other": False, f"{arguments.records} at once": True}
        measurements = {}
        for name, at_once in names.items():
            measurements[f"control, {name}"] = bench.measure(bench.equal, at_once)
            measurements[f"lineage, {name}"] = bench.measure(bench.record, at_once)
        raw = interleaved(arguments.pairs, measurements)
        print("wall time per record:")
        # The inverse of the ratio of times is the ratio of throughputs.
        report(raw, [(f"control, {name}", f"lineage, {name}") for name in names])


if __name__ == "__main__":
    main()
