#!/usr/bin/env python3
"""Compares `lineage fingerprint` with independent code on random tables, in many formats.

    cross_check.py --binary PATH [--tables N] [--seed N] [--keep DIR]

Of every N (default 40) there are: a table of random kinds, nested and with nulls, in Parquet, Arrow IPC,
and CSV and NDJSON with a schema; a CSV and a TSV whose kinds are inferred; a CSV with a schema whose
texts are wider than inference allows; an NDJSON of nested values; and one broken CSV. The digests and
kinds must be those of testdata/check_vectors.py and text_tables.py. --keep leaves the files there.
Exits with 1 when anything differs.
"""

import argparse
import json
import random
import tempfile
from collections import Counter
from pathlib import Path

import arrow_files
import text_tables
from check_tables import Binary, expected_of, write_binary_formats, write_text_formats

LETTERS = ["a", "b", "Z", " ", ",", '"', "\n", "\r\n", "\t", "\u00e9", "e\u0301", "\u4e2d", "\U0001f600", "0", "1", "'", "\\", "\u2028", "null"]
UNITS = ("s", "ms", "us", "ns")


class Chance(random.Random):
    def text(self):
        return "".join(self.choices(LETTERS, k=self.choice((0, 0, 1, 2, 3, 8, 40))))

    def integer(self, bits):
        """Of any size up to so many bits, with a sign."""
        return self.choice((-1, 1)) * self.getrandbits(self.randint(0, bits))

    def one_in(self, n):
        return self.randrange(n) == 0


# --- tables of random kinds -----------------------------------------------------------------------


def random_column(chance, depth=2):
    """A kind, its possible Arrow types, and a maker of values."""
    makers = [flat_bool, flat_int, flat_uint64, flat_float, flat_decimal, flat_string, flat_binary, flat_date,
              flat_time, flat_moment, flat_moment, flat_null]
    if depth and chance.one_in(3):
        return chance.choice([nested_list, nested_struct, nested_map])(chance, depth - 1)
    return chance.choice(makers)(chance)


def flat_bool(chance):
    return "bool", ["bool", "dictionary(bool)", "run_end_encoded(bool)"], lambda: chance.one_in(2)


def flat_int(chance):
    bits = chance.choice((8, 16, 32, 64))
    if bits < 64 and chance.one_in(2):
        return "int", [f"uint{bits}", f"dictionary(uint{bits})"], lambda: str(chance.getrandbits(bits))
    return "int", [f"int{bits}", f"dictionary(int{bits})", f"run_end_encoded(int{bits})"], lambda: str(chance.integer(bits - 1))


def flat_uint64(chance):
    return "uint64", ["uint64"], lambda: str(chance.getrandbits(64))


def flat_float(chance):
    size = chance.choice((32, 64))
    form = ">f" if size == 32 else ">d"
    special = [text_tables.bits(value, form) for value in (0.0, -0.0, float("nan"), float("inf"), -float("inf"), 0.1)]
    special += [f"{chance.getrandbits(size):0{size // 4}x}" for _ in range(3)]

    def value():
        return chance.choice(special) if chance.one_in(4) else text_tables.bits(chance.uniform(-1e6, 1e6), form)

    return f"float{size}", [f"float{size}"], value


def flat_decimal(chance):
    precision = chance.choice((5, 9, 18, 30, 38, 60, 76))
    scale = chance.randint(0, precision)
    sizes = [size for size, most in ((32, 9), (64, 18), (128, 38), (256, 76)) if precision <= most]

    def value():
        number = chance.randrange(10 ** chance.randint(0, precision)) // 10 ** chance.randint(0, 3)
        return [str(chance.choice((-1, 1)) * number * chance.choice((1, 1, 10, 1000)) % 10**precision), scale]

    return "decimal", [f"decimal{size}({precision},{scale})" for size in sizes], value


def flat_string(chance):
    words = [chance.text() for _ in range(5)]
    types = ["utf8", "large_utf8", "utf8_view", "dictionary(utf8)", "dictionary(large_utf8)", "run_end_encoded(utf8)"]
    return "string", types, lambda: chance.choice(words) if chance.one_in(2) else chance.text()


def flat_binary(chance):
    if chance.one_in(3):
        size = chance.randint(1, 9)
        return "binary", [f"fixed_size_binary({size})", "binary"], lambda: chance.randbytes(size).hex()
    types = ["binary", "large_binary", "binary_view", "dictionary(binary)"]
    return "binary", types, lambda: chance.randbytes(chance.randint(0, 20)).hex()


def flat_date(chance):
    return "date", ["date32", "date64"], lambda: str(chance.randint(arrow_files.FIRST_DAY, arrow_files.LAST_DAY))


def flat_time(chance):
    unit = chance.choice(UNITS)
    types = [f"time{32 if finer in UNITS[:2] else 64}({finer})" for finer in UNITS[UNITS.index(unit):]]
    factor = 10**9 // arrow_files.UNITS[unit]
    return "time", types, lambda: str(chance.randrange(86_400 * arrow_files.UNITS[unit]) * factor)


def flat_moment(chance):
    """A timestamp, instant or duration of some unit, in that unit and the finer ones that hold it."""
    kind, unit = chance.choice(("timestamp", "instant", "duration")), chance.choice(UNITS)
    zone = chance.choice((",UTC", ",Europe/Zurich", ",+05:30")) if kind == "instant" else ""
    name = "duration" if kind == "duration" else "timestamp"
    near = unit == "ns" or chance.one_in(2)
    finest = len(UNITS) if near else UNITS.index("us") + 1
    limit = text_tables.NEAR_DAYS * text_tables.DAY if near else 60_000_000_000
    factor = 10**9 // arrow_files.UNITS[unit]

    def value():
        return [str(chance.randrange(-limit, limit) // 10 ** chance.randint(0, 6)), str(chance.randrange(arrow_files.UNITS[unit]) * factor)]

    return kind, [f"{name}({finer}{zone})" for finer in UNITS[UNITS.index(unit):finest]], value


def flat_null(_):
    return "null", ["null"], lambda: None


def nested_list(chance, depth):
    kind, types, value = random_column(chance, depth)
    inner = chance.choice(types)
    most = chance.choice((2, 6, 50)) if depth else chance.choice((2, 6))
    shapes = ["list", "large_list", "list_view", "large_list_view"]
    if chance.one_in(4):
        return f"list({kind})", [f"fixed_size_list({most},{inner})", f"list({inner})"], lambda: [maybe(chance, value) for _ in range(most)]
    return f"list({kind})", [f"{shape}({inner})" for shape in shapes], lambda: [maybe(chance, value) for _ in range(chance.randint(0, most))]


def nested_struct(chance, depth):
    fields = [(chance.text().replace("\r\n", ""), *random_column(chance, depth)) for _ in range(chance.randint(0, 4))]

    def written(kinds):
        return "struct(" + ",".join(f"{len(name.encode())}:{name}:{kind}" for name, kind in kinds) + ")"

    types = [written((name, chance.choice(types)) for name, _, types, _ in fields) for _ in range(2)]
    kind = written((name, kind) for name, kind, _, _ in fields)
    return kind, types, lambda: [maybe(chance, value) for _, _, _, value in fields]


def nested_map(chance, depth):
    key_kind, key_types, key = chance.choice((flat_int, flat_string))(chance)
    kind, types, value = random_column(chance, depth)
    text = f"map({key_types[0]},{chance.choice(types)})"
    return f"map({key_kind},{kind})", [text], lambda: [[key(), maybe(chance, value)] for _ in range(chance.randint(0, 4))]


def maybe(chance, value):
    return None if chance.one_in(6) else value()


def random_table(chance):
    """Columns (name, kind, Arrow types, values) and the number of rows."""
    rows = chance.choice((0, 1, 2, 7, 100, 1000, 1024, 1025, 2049))
    columns = []
    for _ in range(chance.randint(1, 8)):
        kind, types, value = random_column(chance)
        nulls = chance.choice((0, 0.01, 0.3, 1))
        values = [None if chance.random() < nulls or kind == "null" else value() for _ in range(rows)]
        columns.append((chance.text(), kind, types, values))
    return columns, rows


def check_random_table(binary, chance, folder, label, skipped):
    columns, rows = random_table(chance)
    kinds = [(name, kind, values) for name, kind, _, values in columns]
    expected = expected_of(kinds, rows)
    for at in range(2):
        typed = [(name, chance.choice(types), values) for name, _, types, values in columns]
        files = write_binary_formats(folder, f"table{at}", typed, rows, skipped)
        binary.check(f"{label}, {[text for _, text, _ in typed]}", files, expected)
    flat = [column for column in kinds if column[1] in arrow_files.DECLARABLE]
    files, schema = write_text_formats(folder, "table", flat, rows, skipped)
    if files:
        binary.check(f"{label}, {[kind for _, kind, _ in flat]}", files, expected_of(flat, rows), ["--schema", str(schema)])


# --- CSV of texts that tempt ------------------------------------------------------------------------

TEXTS = {
    "ints": lambda c: str(c.integer(63)),
    "small ints": lambda c: str(c.randint(-99, 99)),
    "edges of int": lambda c: str(c.choice((2**63, -(2**63), 2**53, -(2**53), 0)) + c.randint(-1, 1)),
    "uint64": lambda c: str(c.choice((c.getrandbits(64), 2**64 - 1, 2**63, c.getrandbits(65)))),
    "natural": lambda c: str(c.getrandbits(c.choice((3, 62, 64)))),
    "leading zeros": lambda c: f"{c.randint(0, 99999):06}",
    "long digits": lambda c: str(c.getrandbits(400)),
    "minus zero": lambda c: c.choice(("-0", "0", "1", "-1")),
    "floats": lambda c: repr(c.uniform(-1e3, 1e3)),
    "scientific": lambda c: f"{c.uniform(-10, 10):.{c.randint(0, 20)}{c.choice('eE')}}",
    "float edges": lambda c: c.choice(("1e308", "1.7976931348623157e308", "1e-400", "5e-324", "2.4703282292062328e-324", "-0.0", "0.1e1", "9007199254740993.0", "1e23", "123456789012345678901234567890.5")),
    "float forms": lambda c: c.choice((".5", "5.", "-.5", "-5.", "0.", "1.e5", ".5e-3", "1E5", "1e+5", "1e05", "0e0", "-0e0")),
    "not floats": lambda c: c.choice((".", "-", "e5", "1e", "1e400", "+1.5", "01.5", "-01.5", "00.5", "1.5f", "0x10", "1_000", "1,5", "1.5.5", "--1", "-.", ".e5", "1e5.0", "\uff11", "\u0661")),
    "words": lambda c: c.choice(("nan", "NaN", "NAN", "inf", "-inf", "Infinity", "-INFINITY", "iNf")),
    "not words": lambda c: c.choice(("-nan", "+inf", "+nan", "in", "infinit", "nan()", "NA", "null", "None", "N/A")),
    "bools": lambda c: c.choice(("true", "false", "True", "FALSE", "tRuE")),
    "not bools": lambda c: c.choice(("yes", "no", "t", "f", "TRUE ", "fal\u017fe")),
    "dates": lambda c: arrow_files.date_text(c.randint(arrow_files.FIRST_DAY, arrow_files.LAST_DAY)),
    "date edges": lambda c: c.choice(("0000-01-01", "9999-12-31", "2000-02-29", "1970-01-01", "0000-02-29", "1677-09-21", "2262-04-11")),
    "not dates": lambda c: c.choice(("1900-02-29", "2023-02-29", "2024-00-01", "2024-13-01", "2024-04-31", "2024-1-1", "24-01-01", "2024/01/01", "20240101", "10000-01-01", "-001-01-01", "2024-01-01 ", "2024-01-00")),
    "timestamps": lambda c: moment_text(c, c.randint(0, 6)),
    "near timestamps": lambda c: moment_text(c, c.choice((0, 6, 7, 9)), near=True),
    "fine timestamps": lambda c: moment_text(c, c.choice((7, 8, 9))),
    "seventh digits that are zero": lambda c: moment_text(c, 6) + "000",
    "short timestamps": lambda c: c.choice(("2024-01-01T00:00", "2024-01-01 23:59", "9999-12-31T23:59:59.999999", "0000-01-01T00:00:00")),
    "edges of nanoseconds": lambda c: c.choice(("1677-09-21T23:59:59", "1677-09-22T00:00:00", "2262-04-10T23:59:59", "2262-04-11T00:00:00")),
    "one fine": lambda c: "2024-01-01T00:00:00.0000001" if c.one_in(9) else "2024-01-01T00:00:00.000001",
    "not timestamps": lambda c: c.choice(("2024-01-01T24:00", "2024-01-01T23:60", "2024-01-01T23:59:60", "2024-01-01t00:00", "2024-01-01  00:00", "2024-01-01T00", "2024-01-01T00:00:00.", "2024-01-01T00:00:00.1234567890", "2024-01-01T00:00.5", "2024-01-01T", "2024-01-01T0:00", "2024-01-01Z")),
    "instants": lambda c: moment_text(c, c.randint(0, 6)) + c.choice(("Z", "+00:00", "-00:00", "+02:00", "-0530", "+14", "-23:59")),
    "fine instants": lambda c: moment_text(c, c.randint(0, 9), near=True) + c.choice(("Z", "+01:00")),
    "edges of instants": lambda c: c.choice(("1677-09-21T23:30:00-01:00", "1677-09-22T00:30:00+01:00", "2262-04-10T23:30:00-01:00", "2262-04-11T00:30:00+01:00", "2000-01-01T00:00:00.000000001Z")),
    "not instants": lambda c: c.choice(("2024-01-01T00:00z", "2024-01-01T00:00 Z", "2024-01-01T00:00+24:00", "2024-01-01T00:00+01:60", "2024-01-01T00:00+1", "2024-01-01T00:00+01:0", "2024-01-01T00:00ZZ", "2024-01-01T00:00+010")),
    "strings": lambda c: c.text(),
    "spaces": lambda c: c.choice((" 1", "1 ", " ", "\t1", "\u00a01", "1\u2007")),
}


def moment_text(chance, digits, near=False):
    days = chance.randint(-106_751, 106_750) if near else chance.randint(arrow_files.FIRST_DAY + 1, arrow_files.LAST_DAY - 1)
    fraction = f".{chance.randrange(10**digits):0{digits}}" if digits else ""
    clock = f"{chance.randrange(24):02}:{chance.randrange(60):02}:{chance.randrange(60):02}"
    return f"{arrow_files.date_text(days)}{chance.choice('T ')}{clock}{fraction}"


# Families that one kind holds, so that not every random column is one of strings.
TOGETHER = [
    ("ints", "small ints"), ("small ints", "floats", "minus zero"), ("natural",), ("uint64", "natural"), ("edges of int", "floats"),
    ("floats", "scientific", "float edges", "float forms", "words"), ("edges of int",), ("bools",), ("dates", "date edges"),
    ("dates", "timestamps", "short timestamps"), ("near timestamps",), ("fine timestamps", "near timestamps"),
    ("near timestamps", "edges of nanoseconds"), ("one fine", "edges of nanoseconds"), ("one fine", "dates"),
    ("seventh digits that are zero", "dates"), ("instants",), ("fine instants",), ("edges of instants",), ("edges of instants", "fine instants"),
]


def tempting_column(chance, rows):
    """Cells as they stand in the file."""
    families = chance.choice(TOGETHER) if not chance.one_in(4) else chance.choices(list(TEXTS), k=chance.randint(1, 2))
    intruder = chance.choice(list(TEXTS)) if chance.one_in(5) else None
    blanks, always = chance.choice((0, 0, 0.1, 0.5, 1)), chance.one_in(3)
    cells = []
    for row in range(rows):
        if chance.random() < blanks:
            cells.append(chance.choice(("", '""')))
            continue
        # One value at the end must change what all before it were taken for.
        family = intruder if intruder and row == rows - 1 else chance.choice(families)
        text = TEXTS[family](chance)
        cells.append(arrow_files.quoted(text, always or chance.one_in(10) or "\t" in text))
    return cells


def tempting_file(chance, delimiter):
    rows, width = chance.choice((0, 1, 2, 5, 50, 500, 2000)), chance.randint(1, 10)
    columns = [tempting_column(chance, rows) for _ in range(width)]
    names = [arrow_files.quoted(chance.text(), True) if chance.one_in(2) else f"column {at}" for at in range(width)]
    line_end = chance.choice(("\n", "\r\n"))
    lines = [delimiter.join(cells) for cells in [names, *zip(*columns)]]
    if chance.one_in(3):
        lines.insert(chance.randint(0, len(lines)), "")
    text = chance.choice(("", "", "\ufeff")) + line_end.join(lines) + (line_end if chance.one_in(2) else "")
    return text.encode()


def check_text(binary, path, data, table, label, options=()):
    """A text table must be read as text_tables reads it, or refused when that refuses it."""
    path.write_bytes(data)
    try:
        columns, rows = table()
    except text_tables.Refused:
        binary.refuses(label, path, options)
        return None
    name = "NDJSON: inferred" if path.suffix == ".ndjson" else "CSV: with a schema" if options else "CSV: inferred"
    binary.check(f"{label}, {path.name}", {name: path}, expected_of(columns, rows), options)
    return columns


def check_inferred(binary, chance, folder, label, kinds):
    for suffix, delimiter in ((".csv", ","), (".tsv", "\t")):
        data = tempting_file(chance, delimiter)
        columns = check_text(binary, folder / f"inferred{suffix}", data, lambda: text_tables.csv_table(data, delimiter), label)
        kinds.update(kind for _, kind, _ in columns or ())


WIDE = {
    "bool": lambda c: c.choice(("0", "1", "true", "FALSE")),
    "int": lambda c: c.choice(("+7", "007", "-007", "0", "00", "9223372036854775807", "-9223372036854775808", "+0012")),
    "uint64": lambda c: c.choice(("18446744073709551615", "+5", "005", "0")),
    "float32": lambda c: c.choice(("16777217", "16777217.0000001", "1.00000017881393432617187499", "1.00000017881393432617187501", "0.1", "-0", "nan", "inf", "3.4028235e38", "1e-46", "+1.5", "007.5")),
    "float64": lambda c: c.choice(("1", "+1.5", "007.5", "9007199254740993", "-0", "NaN", "-Infinity", "1e5", ".5", "5.", "+.5e1")),
    "decimal": lambda c: c.choice(("1.50", "150e-2", "+1.5", "-0.00", "100", "1E2", "00012.3400", ".5", "5.", "-.05e1", "99999999999999999999.99")),
    "date": lambda c: TEXTS["dates"](c),
    "time": lambda c: c.choice(("00:00", "23:59:59.999999999", "12:30:15.5", "12:30:15")),
    "timestamp": lambda c: c.choice(("2024-01-01", "2024-01-01 10:00", "1969-12-31T23:59:59.999999999")),
    "instant": lambda c: c.choice(("2024-01-01T10:00Z", "1969-12-31 23:59:59.5-08:00", "2024-06-01T00:00:00+0530")),
    "string": lambda c: c.choice(("001", "true", "2024-01-01", "", '"')),
}
MISFITS = {
    "bool": "2", "int": "9223372036854775808", "uint64": "-1", "float32": "1e39", "float64": "1e309", "decimal": "1.5.5",
    "date": "2024-01-01T00:00", "time": "24:00", "timestamp": "2024-01-01T00:00Z", "instant": "2024-01-01T00:00",
}


def check_declared(binary, chance, folder, label):
    kinds = chance.choices(list(WIDE), k=chance.randint(2, 9))
    schema = [(f"c{at}", kind) for at, kind in enumerate(kinds)]
    rows = [[WIDE[kind](chance) for kind in kinds] for _ in range(chance.choice((1, 20, 300)))]
    if chance.one_in(4) and (unfit := [at for at, kind in enumerate(kinds) if kind in MISFITS]):
        at = chance.choice(unfit)
        rows[-1][at] = MISFITS[kinds[at]]
    cells = [[chance.choice(("", '""')) if chance.one_in(8) else arrow_files.quoted(text, chance.one_in(5)) for text in row] for row in rows]
    data = "\n".join(",".join(row) for row in [[name for name, _ in schema], *cells]).encode()
    file = folder / "declared.schema.json"
    file.write_text(json.dumps({"columns": [{"name": name, "type": kind} for name, kind in schema]}))
    check_text(binary, folder / "declared.csv", data, lambda: text_tables.csv_table(data, schema=schema), label, ["--schema", str(file)])


BROKEN = [b"", b"\n\r\n", b"a,b\n1\n", b"a,b\n1,2,3\n", b'a,b\n"1,2\n', b'a,b\n1"2,3\n', b'a,b\n"1"2,3\n', b"a,b\n1,\x00\n", b"a,b\n1\r2,3\n", b"a,b\n1,2\r", b"a\n1\n\r",
          b"a,b\n\xff,1\n", b"\xff\xfea\x00\n\x00", b'a,b\n"1" ,2\n', b'a,b\n 1, "2"\n', b'"a,b\n1,2\n', b"a,b\n1,2\n\n3\n", b"a,b\n,\n\n,,\n"]


# --- NDJSON -----------------------------------------------------------------------------------------

NUMBERS = [("ints", "small ints"), ("natural",), ("floats", "small ints"), ("scientific", "minus zero"), ("edges of int",), ("uint64",)]


def json_maker(chance, depth=3):
    """A maker of JSON texts of one type."""
    shape = chance.choice(("number", "number", "string", "bool", "null", "list", "object") if depth else ("number", "string", "bool"))
    if shape == "number":
        families = chance.choice(NUMBERS)
        return lambda: TEXTS[chance.choice(families)](chance)
    if shape == "string":
        return lambda: json.dumps(chance.text(), ensure_ascii=chance.one_in(2))
    if shape == "bool":
        return lambda: chance.choice(("true", "false"))
    if shape == "null":
        return lambda: "null"
    if shape == "list":
        child = json_maker(chance, depth - 1)
        return lambda: "[" + ", ".join(child() if not chance.one_in(5) else "null" for _ in range(chance.randint(0, 4))) + "]"
    return object_maker(chance, depth - 1)


def object_maker(chance, depth):
    fields = {chance.text(): json_maker(chance, depth) for _ in range(chance.randint(0, 5))}

    def text():
        pairs = [(name, "null" if chance.one_in(6) else make()) for name, make in fields.items() if not chance.one_in(4)]
        chance.shuffle(pairs)
        return "{" + ", ".join(f"{json.dumps(name)} : {value}" for name, value in pairs) + "}"

    return text


def check_ndjson(binary, chance, folder, label, kinds):
    row = object_maker(chance, 3)
    lines = [row() for _ in range(chance.choice((0, 1, 3, 40, 1100)))]
    if lines and chance.one_in(4):
        lines.insert(chance.randrange(len(lines)), " \t")
    if lines and chance.one_in(6):
        lines[-1] = chance.choice(('{"a": 1, "a": 2}', '{"a": NaN}', '{"a": 01}', "[1]", '{"a": [1, "b"]}', '{"a": {"b": 1, "b": 1}}', '{"a": 1e999}', '{"a": 1} {}'))
    data = chance.choice(("\n", "\r\n")).join(lines).encode()
    columns = check_text(binary, folder / "nested.ndjson", data, lambda: text_tables.ndjson_table(data), label)
    kinds.update(kind.partition("(")[0] for _, kind, _ in columns or ())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--tables", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    binary, skipped, kinds = Binary(given.binary), Counter(), Counter()
    for at in range(given.tables):
        label, chance = f"table {at} of seed {given.seed}", Chance(f"{given.seed}/{at}")
        with tempfile.TemporaryDirectory() as temporary:
            folder = given.keep / str(at) if given.keep else Path(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            check_random_table(binary, chance, folder, label, skipped)
            check_inferred(binary, chance, folder, label, kinds)
            check_declared(binary, chance, folder, label)
            check_ndjson(binary, chance, folder, label, kinds)
            broken = BROKEN[at % len(BROKEN)]
            check_text(binary, folder / "broken.csv", broken, lambda: text_tables.csv_table(broken), f"{label}: {broken}")
    notes = [f"skipped {count}: {reason}" for reason, count in sorted(skipped.items())]
    notes.append("inferred " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())))
    binary.end(*notes, f"{given.tables} random tables of seed {given.seed};")


if __name__ == "__main__":
    main()
