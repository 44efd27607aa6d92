#!/usr/bin/env python3
"""How long `lineage fingerprint` takes for two files of 1 GiB that have not changed since it last
read them, in a project with a registry, beside `dvc status`.

    cache.py [--binary PATH] [--dvc DIR] [--rounds 21] [--mebibytes 1024] [--folder DIR]
             [--peers-only]

`--dvc DIR` is a folder with the program dvc. The first runs, which read everything, are printed.
A file that has only just been written is not trusted to be unchanged, so the script waits a little
before that. `--rehash` shows what the cache saves.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from clock import Bench, build, run
from peers import Workplace, dvc_repository

SETTLED_SECONDS = 3
MOST_MILLISECONDS = 20


def main():
    parser = argparse.ArgumentParser(description="Measures the cache of digests.")
    parser.add_argument("--binary", type=Path)
    parser.add_argument("--dvc", type=Path, help="the folder of the program dvc")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--mebibytes", type=int, default=1024)
    parser.add_argument("--folder", type=Path, help="where to work; 5 GB must be free")
    parser.add_argument("--peers-only", action="store_true", help="measure everything but lineage")
    arguments = parser.parse_args()
    files = ("a.bin", "b.bin")
    bench = Bench()
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="lineage-bench-") as folder:
        work = Workplace(folder)
        dvc = arguments.dvc.resolve() / "dvc" if arguments.dvc else None
        work.fresh(*(dvc_repository(dvc) if dvc else []))()
        for name in files:
            with open(work.folder / name, "wb") as out:
                for _ in range(arguments.mebibytes):
                    out.write(os.urandom(1 << 20))
        os.sync()
        time.sleep(SETTLED_SECONDS)
        print(f"two files of {arguments.mebibytes} MiB")
        if dvc:
            wall, _, _ = run((dvc, "add", "-q", *files), work.folder)
            print(f"dvc add: {wall * 1000:.2f} ms")
            bench.add("dvc status", dvc, "status", folder=work.folder)
        if not arguments.peers_only:
            binary = (arguments.binary or build("-p", "lineage-cli") / "lineage").resolve()
            run((binary, "init"), work.folder)
            wall, _, _ = run((binary, "fingerprint", *files), work.folder)
            print(f"lineage fingerprint, first: {wall * 1000:.2f} ms")
            bench.add("again", binary, "fingerprint", *files, folder=work.folder)
            bench.add("again --rehash", binary, "fingerprint", "--rehash", *files,
                      folder=work.folder)
        raw = bench.run(arguments.rounds, [("again", "dvc status"), ("again", "again --rehash")])
        if "again" in raw:
            most = max(raw["again"]) * 1000
            print(f"slowest of {len(raw['again'])}: {most:.2f} ms, bar {MOST_MILLISECONDS}: "
                  f"{'met' if most <= MOST_MILLISECONDS else 'MISSED'}")


if __name__ == "__main__":
    main()
