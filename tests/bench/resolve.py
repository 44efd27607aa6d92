#!/usr/bin/env python3
"""How long `lineage resolve fraud` takes as a whole process: with a model of 350 KiB in a small
registry and in a large one, and with a model of 1 GiB, beside `true` and `openssl dgst`.

    resolve.py [--binary PATH] [--rounds N] [--versions N] [--folder DIR]
"""

import argparse
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
        make(large, arguments.versions, binary)
        make(giant, 2, binary, model_bytes=1 << 30)

        def wall(project, *command):
            return lambda: run(command, project)[0]

        resolve = (binary, "resolve", "fraud")
        model = "live/model.bin"
        raw = interleaved(arguments.rounds, {
            "true": wall(small, true),
            "openssl 350 KiB": wall(small, openssl, "dgst", "-sha256", model),
            "small": wall(small, *resolve),
            "small --no-verify": wall(small, *resolve, "--no-verify"),
            "large": wall(large, *resolve),
            "large --no-verify": wall(large, *resolve, "--no-verify"),
        })
        print(f"model of 350 KiB; large: {arguments.versions} versions")
        report(raw, [("small", "openssl 350 KiB"), ("small", "true"),
                     ("large", "small"), ("large --no-verify", "small --no-verify")])
        raw = interleaved(max(9, arguments.rounds // 2), {
            "openssl 1 GiB": wall(giant, openssl, "dgst", "-sha256", model),
            "1 GiB": wall(giant, *resolve),
        })
        print("\nmodel of 1 GiB, warm")
        report(raw, [("1 GiB", "openssl 1 GiB")])


if __name__ == "__main__":
    main()
