#!/usr/bin/env python3
"""Writes the tables of testdata/vectors/table.json with pyarrow, in every format that holds them, and
checks that `lineage fingerprint` finds the digests of the vectors in each.

    check_tables.py --binary PATH [--only WORDS]

--only takes the cases whose names hold these words. What no writer can carry is skipped, counted and
printed. Exits with 1 when a digest differs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import arrow_files
from check_vectors import case_columns, table_digests

REPOSITORY = Path(__file__).resolve().parents[2]


class Binary:
    """The program under test, and what was found wrong with it."""

    def __init__(self, path):
        self.path, self.tables, self.problems = Path(path).resolve(), Counter(), []

    def fingerprint(self, files, options):
        command = [str(self.path), "fingerprint", *map(str, files), "--json", *options]
        return subprocess.run(command, capture_output=True, text=True)

    def check(self, label, files, expected, options=()):
        """Every file, {its description: its path}, must have the digests that are expected."""
        ran = self.fingerprint(files.values(), options)
        lines = [json.loads(line) for line in ran.stdout.split("\n") if line]
        if ran.returncode != 0 or len(lines) != len(files):
            if len(files) > 1:
                for description, path in files.items():
                    self.check(label, {description: path}, expected, options)
            else:
                self.problem(label, *files, f"exit code {ran.returncode}: {ran.stderr.strip() or ran.stdout.strip()}")
            return
        for description, line in zip(files, lines):
            self.tables[description.split(":")[0]] += 1
            for key, value in expected.items():
                found = line.get("unordered", {}).get("sha256") if key == "unordered_sha256" else line.get(key)
                if key == "columns":
                    found = [{name: column.get(name) for name in ("name", "type", "nulls", "sha256")} for column in found or []]
                if found != value:
                    self.problem(label, description, f"{key} is {shortened(found, value)}")

    def refuses(self, label, path, options=()):
        """The file must not be taken for a table, in silence or not."""
        ran = self.fingerprint([path], options)
        line = json.loads(ran.stdout.split("\n")[0]) if ran.returncode == 0 else {}
        self.tables["refused"] += 1
        if line.get("content_sha256") is not None:
            self.problem(label, path.name, "should have been refused")
        elif ran.returncode not in (0, 1, 2):
            self.problem(label, path.name, f"exit code {ran.returncode}: {ran.stderr.strip()}")

    def problem(self, *words):
        self.problems.append(": ".join(words))
        print("wrong:", self.problems[-1], flush=True)

    def end(self, *notes):
        counts = ", ".join(f"{count} {name}" for name, count in sorted(self.tables.items()))
        print(*notes, f"read {counts}; {len(self.problems)} problems", sep="\n")
        sys.exit(1 if self.problems or not self.tables else 0)


def shortened(found, expected):
    if isinstance(found, list) and isinstance(expected, list):
        pairs = [pair for pair in zip(found, expected) if pair[0] != pair[1]]
        return f"wrong in {len(pairs)} of {len(expected)} (found {len(found)}), first: {pairs[:1]}"
    return f"{found}, not {expected}"


def expected_of(columns, rows, digests=None):
    """What the program must print of columns (name, kind, values)."""
    digests = digests or table_digests(columns, rows)
    return {
        "rows": rows,
        "columns": [
            {"name": name, "type": kind, "nulls": sum(value is None for value in values), "sha256": sha256}
            for (name, kind, values), sha256 in zip(columns, digests["columns_sha256"])
        ],
        **{key: digests[key] for key in ("content_sha256", "content_sorted_sha256")},
    }


def write_binary_formats(folder, name, columns, rows, skipped, parquet=arrow_files.PARQUET, arrow=arrow_files.ARROW):
    """Files of columns (name, Arrow type, values) in Parquet and Arrow IPC, as {description: path}."""
    data, files = arrow_files.table(columns, rows), {}
    trees = [arrow_files.parse_type(text) for _, text, _ in columns]
    for option, settings in parquet.items():
        obstacle = arrow_files.parquet_obstacle(option, trees, rows)
        if obstacle:
            skipped["Parquet: " + obstacle] += 1
            continue
        path = folder / f"{name}-{len(files)}.parquet"
        arrow_files.write_parquet(path, data, settings)
        files[f"Parquet: {option}"] = path
    for option, settings in arrow.items():
        suffix = "arrow" if settings.get("file") else "arrows"
        path = folder / f"{name}-{len(files)}.{suffix}"
        arrow_files.write_arrow(path, data, settings)
        files[f"Arrow: {option}"] = path
    return files


def write_text_formats(folder, name, columns, rows, skipped):
    """Files of columns (name, kind, values) in CSV and NDJSON, and the schema that they need."""
    obstacle = arrow_files.text_obstacle(columns)
    if obstacle:
        skipped["text: " + obstacle] += 1
        return {}, None
    files = {}
    obstacle = arrow_files.csv_obstacle(columns)
    if obstacle:
        skipped["CSV: " + obstacle] += 1
    else:
        for suffix, line_end in ((".csv", "\n"), (".csv.gz", "\r\n"), (".csv.zst", "\n")):
            files["CSV: " + suffix] = folder / (name + suffix)
            arrow_files.write_text(files["CSV: " + suffix], arrow_files.csv_text(columns, rows, line_end))
    if len({column for column, _, _ in columns}) < len(columns):
        skipped["NDJSON: a name that occurs twice"] += 1
    else:
        for suffix in (".ndjson", ".jsonl.zst"):
            files["NDJSON: " + suffix] = folder / (name + suffix)
            arrow_files.write_text(files["NDJSON: " + suffix], arrow_files.ndjson_text(columns, rows))
    schema = folder / f"{name}.schema.json"
    schema.write_text(json.dumps({"columns": [{"name": column, "type": kind} for column, kind, _ in columns]}))
    return files, schema


def check_case(binary, folder, case, skipped):
    columns, rows = case_columns(case), case["rows"]
    kinds = [(name, kind, values) for name, kind, _, values in columns]
    digests = case if "columns_sha256" in case else table_digests(kinds, rows)
    expected = expected_of(kinds, rows, digests)
    expected["unordered_sha256"] = case["unordered_sha256"]
    # With the n-th of the Arrow types of every column, for each n.
    for at in range(max((len(types) for _, _, types, _ in columns), default=1)):
        typed = [(name, types[at % len(types)], values) for name, _, types, values in columns]
        files = write_binary_formats(folder, f"table{at}", typed, rows, skipped)
        label = f"{case['name']} as {', '.join(sorted({text for _, text, _ in typed}))}"
        binary.check(label, files, expected, ["--unordered"])
    files, schema = write_text_formats(folder, "table", kinds, rows, skipped)
    if files:
        binary.check(case["name"], files, expected, ["--schema", str(schema), "--unordered"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    vectors = json.loads((REPOSITORY / "testdata/vectors/table.json").read_text())
    binary, skipped, cases = Binary(given.binary), Counter(), 0
    for case in vectors["cases"]:
        if given.only in case["name"]:
            cases += 1
            with tempfile.TemporaryDirectory() as folder:
                check_case(binary, Path(folder), case, skipped)
    notes = [f"skipped {count}: {reason}" for reason, count in sorted(skipped.items())]
    binary.end(*notes, f"{cases} tables of table.json;")


if __name__ == "__main__":
    main()
