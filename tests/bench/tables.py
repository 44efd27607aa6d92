#!/usr/bin/env python3
"""How fast `lineage fingerprint` reads a large table, and with how much memory, beside engines that
merely scan it. make_data.py makes the tables.

    tables.py --data DIR [--binary PATH] [--decode PATH] [--python PATH] [--rounds 9]
              [--threads N] [--only WORD] [--peers-only]

Four comparisons, each in turns; `--only parquet` takes those with the word in their name:

- parquet: the content digest, beside DuckDB's `sum(hash(t))`, which is 64 bits wide and not
  cryptographic, and beside lineage-core/examples/decode.rs, which decodes the file into Arrow arrays
  and drops them.
- profile: content digest and profile, beside DuckDB's `SUMMARIZE`.
- csv: the file's SHA-256 and the content digest, beside DuckDB's minimum, maximum and count of every
  column.
- restart: the same of a CSV whose types cannot be guessed from its first rows. DuckDB reads it once
  and rounds what does not fit the type it guessed; with `sample_size=-1` it gets the type right, and
  is measured that way too.

`lineage` and `decode` count as whole processes. DuckDB counts from its query to the result, with
Python started and the connection open, which is to its advantage; its whole process and its memory
are printed as well. How long reading alone takes (`dd`) and one SHA-256 of the file (`openssl`) say
how far away the limit is. The interpreter of `--python` needs duckdb.

At the end the content digests of all four files of the same rows are compared.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from clock import ENVIRONMENT, Bench, build, program

DUCKDB = """
import sys, time, duckdb
threads, query = sys.argv[1:]
connection = duckdb.connect(config={"threads": int(threads)})
connection.execute("SET enable_progress_bar = false")
started = time.perf_counter()
connection.execute(query).fetchall()
print(time.perf_counter() - started)
"""
# A time with a zone does not reach Python without a package more.
SCAN = ("SELECT min(COLUMNS(*))::VARCHAR, max(COLUMNS(*))::VARCHAR, count(COLUMNS(*)) "
        "FROM read_csv('{}'{})")
SAME_ROWS = ("card.csv", "card.parquet", "card-snappy.parquet", "card.arrow")


class Comparisons:
    """Each method is one of the comparisons above: fills a bench, gives (name, peer, bar)."""

    def __init__(self, data, binary, decode, python, threads):
        self.data, self.binary, self.decode, self.python, self.threads = \
            data, binary, decode, python, threads

    def lineage(self, bench, name, *arguments):
        if self.binary:
            bench.add(name, self.binary, "fingerprint", *arguments)

    def duckdb(self, bench, name, query):
        bench.add(name, self.python, "-c", DUCKDB, self.threads, query, tells=True)

    def limits(self, bench, path):
        bench.add("read alone", program("dd"), f"if={path}", f"of={os.devnull}", "bs=1M")
        bench.add("one SHA-256 of the file", program("openssl"), "dgst", "-sha256", path)

    def parquet(self, bench):
        path = self.data / "card.parquet"
        self.lineage(bench, "lineage", path)
        self.duckdb(bench, "duckdb sum(hash)", f"SELECT sum(hash(t)) FROM '{path}' t")
        if self.decode:
            bench.add("decode", self.decode, path, self.threads)
        self.limits(bench, path)
        return [("lineage", "duckdb sum(hash)", 1.3), ("lineage", "decode", 1.65)]

    def profile(self, bench):
        path = self.data / "card.parquet"
        self.lineage(bench, "lineage --profile", path, "--profile")
        self.duckdb(bench, "duckdb SUMMARIZE", f"SUMMARIZE FROM '{path}'")
        return [("lineage --profile", "duckdb SUMMARIZE", 0.18)]

    def csv(self, bench):
        path = self.data / "card.csv"
        self.lineage(bench, "lineage", path)
        self.duckdb(bench, "duckdb min/max/count", SCAN.format(path, ""))
        self.limits(bench, path)
        return [("lineage", "duckdb min/max/count", 0.9)]

    def restart(self, bench):
        path = self.data / "restart.csv"
        self.lineage(bench, "lineage", path)
        self.duckdb(bench, "duckdb, types wrong", SCAN.format(path, ""))
        self.duckdb(bench, "duckdb, types right", SCAN.format(path, ", sample_size=-1"))
        return [("lineage", "duckdb, types wrong", 0.9), ("lineage", "duckdb, types right")]


def compare_digests(data, binary):
    """Prints the content digests of the files that hold the same rows."""
    print("\ncontent digests:")
    found = set()
    for name in SAME_ROWS:
        output = subprocess.run([binary, "fingerprint", data / name, "--json"], env=ENVIRONMENT,
                                check=True, capture_output=True, text=True).stdout
        digests = list(values_of(json.loads(output), "content_sha256"))
        found.add(digests[0] if digests else None)
        print(f"{name:20} {digests[0] if digests else 'none'}")
    print("all equal" if len(found) == 1 and None not in found else "NOT EQUAL")


def values_of(document, key):
    if isinstance(document, dict):
        if document.get(key):
            yield document[key]
        document = list(document.values())
    if isinstance(document, list):
        for inner in document:
            yield from values_of(inner, key)


def main():
    parser = argparse.ArgumentParser(description="Measures fingerprints of tables.")
    parser.add_argument("--data", type=Path, required=True, help="what make_data.py made")
    parser.add_argument("--binary", type=Path)
    parser.add_argument("--decode", type=Path, help="the program of examples/decode.rs")
    parser.add_argument("--python", default=sys.executable, help="an interpreter with duckdb")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of the peers")
    parser.add_argument("--only", default="", help="parquet, profile, csv or restart")
    parser.add_argument("--peers-only", action="store_true", help="measure everything but lineage")
    arguments = parser.parse_args()
    binary = decode = None
    if not arguments.peers_only:
        binary = (arguments.binary or build("-p", "lineage-cli") / "lineage").resolve()
    if arguments.decode or not arguments.peers_only:
        decode = (arguments.decode or build("-p", "lineage-core", "--example", "decode")
                  / "examples" / "decode").resolve()
    data = arguments.data.resolve()
    comparisons = Comparisons(data, binary, decode, program(arguments.python), arguments.threads)
    for name in ("parquet", "profile", "csv", "restart"):
        if arguments.only in name:
            print(f"\n{name}, {arguments.threads} threads")
            bench = Bench()
            peers = getattr(comparisons, name)(bench)
            bench.run(arguments.rounds, peers)
    if binary:
        compare_digests(data, binary)


if __name__ == "__main__":
    main()
