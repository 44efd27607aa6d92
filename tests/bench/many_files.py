#!/usr/bin/env python3
"""How long 10,000 files of 100 KiB take: their digest and a record of them, beside `dvc add` and
`model_signing sign`. make_data.py makes the files.

    many_files.py --data DIR [--binary PATH] [--dvc DIR] [--signing PATH] [--rounds 9]
                  [--folder DIR] [--peers-only]

A peer is measured when its option is given: `--dvc DIR` is a folder with the program dvc, `--signing
PATH` the program model_signing, which signs with a key of the curve P-256 that openssl makes here.
Each run begins with a fresh registry, or repository and cache, in a fresh folder that holds a copy of
the files; making them does not count.
"""

import argparse
import tempfile
from pathlib import Path

from clock import Bench, build, program
from peers import Workplace, dvc_repository

FILES = "many"


def main():
    parser = argparse.ArgumentParser(description="Measures folders of many files.")
    parser.add_argument("--data", type=Path, required=True, help="what make_data.py made")
    parser.add_argument("--binary", type=Path)
    parser.add_argument("--dvc", type=Path, help="the folder of the program dvc")
    parser.add_argument("--signing", type=Path, help="the program model_signing")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--folder", type=Path, help="where to work; 3 GB must be free")
    parser.add_argument("--peers-only", action="store_true", help="measure everything but lineage")
    arguments = parser.parse_args()
    bench = Bench()
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="lineage-bench-") as folder:
        work = Workplace(folder, arguments.data.resolve() / FILES)
        if not arguments.peers_only:
            binary = (arguments.binary or build("-p", "lineage-cli") / "lineage").resolve()
            fresh = work.fresh((binary, "init", "-q"))
            bench.add("lineage fingerprint", binary, "fingerprint", FILES,
                      folder=work.folder, prepare=fresh)
            bench.add("lineage record", binary, "record", "fraud", "--artifact", FILES,
                      folder=work.folder, prepare=fresh)
        if arguments.dvc:
            dvc = arguments.dvc.resolve() / "dvc"
            bench.add("dvc add", dvc, "add", "-q", FILES, folder=work.folder,
                      prepare=work.fresh(*dvc_repository(dvc)))
        if arguments.signing:
            key = ("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key.pem")
            bench.add("model_signing", arguments.signing.resolve(), "sign", "key", FILES,
                      "--private_key", "key.pem", "--signature", "model.sig", folder=work.folder,
                      prepare=work.fresh((program("openssl"), *key)))
        bench.run(arguments.rounds, [("lineage fingerprint", "dvc add", 0.2),
                                     ("lineage fingerprint", "model_signing", 0.35),
                                     ("lineage record", "dvc add", 0.35),
                                     ("lineage record", "model_signing", 0.35)])


if __name__ == "__main__":
    main()
