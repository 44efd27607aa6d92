#!/usr/bin/env python3
"""How fast `lineage fingerprint` hashes a warm file of 1 GiB beside `openssl dgst -sha256`, with how
much memory, and whether two files use two cores.

    hash.py [--binary PATH] [--pairs N] [--mebibytes N] [--folder DIR]
"""

import argparse
import os
import statistics
import tempfile
from pathlib import Path

from clock import build, interleaved, program, report, run


def main():
    parser = argparse.ArgumentParser(description="Measures `lineage fingerprint`.")
    parser.add_argument("--binary", type=Path)
    parser.add_argument("--pairs", type=int, default=11)
    parser.add_argument("--mebibytes", type=int, default=1024)
    parser.add_argument("--folder", type=Path, help="where to make the files")
    arguments = parser.parse_args()
    binary = (arguments.binary or build("-p", "lineage-cli") / "lineage").resolve()
    openssl = program("openssl")
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="lineage-bench-") as folder:
        files = [Path(folder) / name for name in ("a.bin", "b.bin")]
        for file in files:
            with open(file, "wb") as out:
                for _ in range(arguments.mebibytes):
                    out.write(os.urandom(1 << 20))
                # Written back now, so that the disk is quiet when it counts.
                os.fsync(out.fileno())
        memory, cpu, spread = [], [], []

        def lineage(*paths):
            def measure():
                wall, seconds, peak = run((binary, "fingerprint", *paths), folder)
                memory.append(peak)
                (spread if len(paths) > 1 else cpu).append(seconds / wall)
                return wall
            return measure

        def peer(*paths):
            return lambda: run((openssl, "dgst", "-sha256", *paths), folder)[0]

        raw = interleaved(arguments.pairs, {
            "openssl, one file": peer(files[0]),
            "lineage, one file": lineage(files[0]),
            "openssl, two files": peer(*files),
            "lineage, two files": lineage(*files),
        })
        print(f"files of {arguments.mebibytes} MiB, warm, {os.cpu_count()} cores")
        report(raw, [("lineage, one file", "openssl, one file"),
                     ("lineage, two files", "openssl, two files"),
                     ("lineage, two files", "lineage, one file")])
        print(f"peak memory of lineage: {max(memory) / 1024:.1f} MiB; cores busy: "
              f"{statistics.median(cpu):.2f} with one file, {statistics.median(spread):.2f} with two")


if __name__ == "__main__":
    main()
