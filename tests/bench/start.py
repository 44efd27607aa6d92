#!/usr/bin/env python3
"""How long `lineage --version` and `lineage resolve fraud` (350 KiB, its bytes verified) take as whole
processes, over the time of `true`, beside another binary of lineage.

    start.py OTHER [--binary PATH] [--rounds N] [--folder DIR]

Each has a registry of its own, made by it. Both are measured in turns; what counts is the ratio of
the medians after that of `true` was taken from each, and the median of the pairs' ratios.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from clock import build, interleaved, program, report, run
from make_registry import make


def over(raw, name, base):
    """The median of `name` without the median of `base`, in seconds."""
    return statistics.median(raw[name]) - statistics.median(raw[base])


def main():
    parser = argparse.ArgumentParser(description="Measures what is done before the work.")
    parser.add_argument("other", type=Path, help="the binary to compare with")
    parser.add_argument("--binary", type=Path)
    parser.add_argument("--rounds", type=int, default=201)
    parser.add_argument("--folder", type=Path, help="where to make the registries")
    arguments = parser.parse_args()
    binary = (arguments.binary or build("-p", "lineage-cli") / "lineage").resolve()
    other, true = arguments.other.resolve(), program("true")
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="lineage-bench-") as folder:
        ours, theirs = Path(folder) / "ours", Path(folder) / "theirs"
        make(ours, 2, binary)
        make(theirs, 2, other)

        def wall(project, *command):
            return lambda: run(command, project)[0]

        raw = interleaved(arguments.rounds, {
            "true": wall(ours, true),
            "--version": wall(ours, binary, "--version"),
            "--version, other": wall(theirs, other, "--version"),
            "resolve": wall(ours, binary, "resolve", "fraud"),
            "resolve, other": wall(theirs, other, "resolve", "fraud"),
        })
        report(raw)
        print()
        for name in ("--version", "resolve"):
            mine, its = over(raw, name, "true"), over(raw, f"{name}, other", "true")
            trios = zip(raw[name], raw[f"{name}, other"], raw["true"])
            paired = statistics.median((a - t) / (b - t) for a, b, t in trios)
            print(f"{name} over true: {mine * 1000:.2f} ms, other {its * 1000:.2f} ms, "
                  f"ratio {mine / its:.3f} (pairs {paired:.3f})")


if __name__ == "__main__":
    main()
