#!/usr/bin/env python3
"""How long `lineage resolve fraud` takes as a whole process: with a model of 350 KiB in a small
registry and in a large one, with a model of 1 GiB, and with one of 10,000 files of 100 KiB, beside
`true`, `openssl dgst` and `--sha256`.

    resolve.py [--binary PATH] [--rounds N] [--versions N] [--folder DIR]

`--versions 0` leaves out the large registry, which takes a while to make.
"""

import argparse
import os
import tempfile
from pathlib import Path

from clock import build, interleaved, program, report, run
from make_registry import make


def main():
    parser = argparse.ArgumentParser(description="Measures `lineage resolve`.")
    parser.add_argument("--binary", type=Path)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--versions", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where to make the registries")
    arguments = parser.parse_args()
    binary = (arguments.binary or build("-p", "lineage-cli") / "lineage").resolve()
    true, openssl = program("true"), program("openssl")
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="lineage-bench-") as folder:
        small, large, giant = (Path(folder) / name for name in ("small", "large", "giant"))
        make(small, 2, binary)
        if arguments.versions:
            make(large, arguments.versions, binary)
        make(giant, 2, binary, model_bytes=1 << 30)
        many_files(giant, binary)

        def wall(project, *command):
            return lambda: run(command, project)[0]

        resolve = (binary, "resolve", "fraud")
        model = "live/model.bin"
        measured = {
            "true": wall(small, true),
            "openssl 350 KiB": wall(small, openssl, "dgst", "-sha256", model),
            "small": wall(small, *resolve),
            "small --sha256": wall(small, *resolve, "--sha256"),
            "small --no-verify": wall(small, *resolve, "--no-verify"),
        }
        peers = [("small", "openssl 350 KiB"), ("small", "true"), ("small", "small --sha256")]
        if arguments.versions:
            measured["large"] = wall(large, *resolve)
            measured["large --no-verify"] = wall(large, *resolve, "--no-verify")
            peers += [("large", "small"), ("large --no-verify", "small --no-verify")]
        raw = interleaved(arguments.rounds, measured)
        print(f"model of 350 KiB; large: {arguments.versions} versions")
        report(raw, peers)
        many = (binary, "resolve", "many")
        raw = interleaved(max(9, arguments.rounds // 2), {
            "openssl 1 GiB": wall(giant, openssl, "dgst", "-sha256", model),
            "1 GiB": wall(giant, *resolve),
            "1 GiB --sha256": wall(giant, *resolve, "--sha256"),
            "many files": wall(giant, *many),
            "many files --sha256": wall(giant, *many, "--sha256"),
        })
        print("\nmodel of 1 GiB, and one of 10,000 files of 100 KiB, warm")
        report(raw, [("1 GiB", "openssl 1 GiB", 0.35), ("1 GiB", "1 GiB --sha256"),
                     ("many files", "many files --sha256")])


def many_files(project, binary):
    """A model of 10,000 files of 100 KiB, promoted."""
    for number in range(10_000):
        path = project / "many" / f"{number % 100:02}" / f"{number:05}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(100 * 1024))
    for arguments in (("record", "many", "--artifact", "many", "--no-store"), ("promote", "many")):
        run((binary, *arguments), project)


if __name__ == "__main__":
    main()
