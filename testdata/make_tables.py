"""The cases of testdata/vectors/table.json, for make_vectors.py. Standard library only.

The digests are made row by row, as a program would that reads a stream. check_vectors.py makes them
from whole columns, with other code.
"""

import hashlib
import json
import struct

ABOUT = [
    "Vectors of lineage-table-1 (docs/formats/fingerprint.md, Table). Every case is one table.",
    "A column has a name, its kind, the arrow_type that holds it, and often more Arrow types in 'also': each gives "
    "the same digests. Its values are in 'values', or made by the generator of the case.",
    "Values: null is a null of every kind. bool: true or false. int and uint64: decimal text. float32 and float64: "
    "the bits as 8 or 16 hex digits, the most significant first. decimal: [unscaled value as decimal text, scale as "
    "a number], with the scale of arrow_type. string: text. binary: hex. date: days as decimal text. time: "
    "nanoseconds as decimal text. timestamp, instant, duration: [seconds, nanoseconds] as two decimal texts, "
    "0 <= nanoseconds < 10^9. list: an array. struct: an array of the values of its fields in order. map: an array "
    "of [key, value]. All are before any normalisation: -0, NaN payloads and trailing zeros stand as they are.",
    "Arrow types: null, bool, int8 to int64, uint8 to uint64, float32, float64, decimal32(P,S) to decimal256(P,S), "
    "utf8, large_utf8, utf8_view, binary, large_binary, binary_view, fixed_size_binary(N), date32, date64, time32(U), "
    "time64(U), timestamp(U), timestamp(U,ZONE), duration(U) with U of s, ms, us, ns; list(T), large_list(T), "
    "list_view(T), large_list_view(T), fixed_size_list(N,T), map(K,V), dictionary(T) (of values T), "
    "run_end_encoded(T), and struct(F,...) with fields as in a kind: length of the name, colon, name, colon, type.",
    "Generator: with rows R, column C (both from 0) and n = (7919*R + 31*R*R + 104729*C) mod 1000003, the value is "
    "null if 'nulls' is true and (R + C) mod 13 = 5, else value(kind, n): "
    "bool: n is odd. int: n - 500000. float64: n / 8 - 60000 (exact). decimal: unscaled n - 500000. "
    "string: '' if n mod 7 = 0, else 's' and n in decimal, and 'é' after it if n mod 3 = 0. "
    "timestamp: n*1000 - 500000000 seconds and n*991 nanoseconds. "
    "list: m children, m = n mod list_length for the list of the column, n mod 4 for a list within it; child i "
    "(from 0) is null if (n+i+1) mod 11 = 3, else value(child, n+i+1). struct: field j (from 0) is null if "
    "(n+j+1) mod 5 = 0, else value(field, n+j+1).",
    "A column with 'repeat': N stands for N columns; their names are its name followed by 0, 1, 2, ...",
    "columns_sha256 and leaves (of each column, one for each block) are left out where they would be long.",
    "equal: lists of cases that have one content_sha256. All other cases have different ones.",
]

WIDTHS = {"bool": 1, "int": 8, "uint64": 8, "float32": 4, "float64": 8, "decimal": 33, "date": 8, "time": 8,
          "timestamp": 12, "instant": 12, "duration": 12, "null": 0}


# --- kinds: a text, or a tuple ("list", K), ("map", K, V), ("struct", (name, K), ...) ------------


def kind_text(kind):
    if isinstance(kind, str):
        return kind
    if kind[0] == "struct":
        return "struct(" + ",".join(f"{len(name.encode())}:{name}:{kind_text(k)}" for name, k in kind[1:]) + ")"
    return f"{kind[0]}(" + ",".join(map(kind_text, kind[1:])) + ")"


def scalar(kind, value):
    """The bytes of a value of a kind of fixed width."""
    if kind == "bool":
        return b"\x01" if value else b"\x00"
    if kind in ("int", "date", "time"):
        return struct.pack("<q", int(value))
    if kind == "uint64":
        return struct.pack("<Q", int(value))
    if kind == "float32":
        bits = int(value, 16)
        bits = 0 if bits == 0x8000_0000 else 0x7FC0_0000 if bits & 0x7FFF_FFFF > 0x7F80_0000 else bits
        return struct.pack("<I", bits)
    if kind == "float64":
        bits, infinity = int(value, 16), 0x7FF0_0000_0000_0000
        bits = 0 if bits == 1 << 63 else 0x7FF8_0000_0000_0000 if bits & ~(1 << 63) > infinity else bits
        return struct.pack("<Q", bits)
    if kind == "decimal":
        unscaled, scale = int(value[0]), value[1]
        while unscaled and unscaled % 10 == 0 and scale > -128:
            unscaled, scale = unscaled // 10, scale - 1
        return unscaled.to_bytes(32, "little", signed=True) + struct.pack("<b", scale if unscaled else 0)
    return struct.pack("<qI", int(value[0]), int(value[1]))


class Strips:
    """Takes the rows of one kind one by one. `taken` holds the strips that are complete."""

    def __init__(self, kind):
        self.kind, self.taken = kind, bytearray()
        name = kind if isinstance(kind, str) else kind[0]
        self.is_text, self.is_list = name in ("string", "binary"), name in ("list", "map")
        self.fields = [Strips(k) for _, k in kind[1:]] if name == "struct" else []
        self.is_struct = name == "struct"
        if self.is_list:
            entry = kind[1] if name == "list" else ("struct", ("key", kind[1]), ("value", kind[2]))
            self.child = Strips(entry)
        self.begin()

    def begin(self):
        self.rows, self.values, self.lengths, self.bits, self.has_null = 0, bytearray(), bytearray(), 0, False

    def push(self, value):
        if value is None:
            self.has_null = True
            if not (self.is_text or self.is_list or self.is_struct):
                self.values += bytes(WIDTHS[self.kind])
            if self.is_text or self.is_list:
                self.lengths += bytes(4)
            for field in self.fields:
                field.push(None)
        else:
            self.bits |= 1 << self.rows
            if self.is_text:
                data = value.encode() if self.kind == "string" else bytes.fromhex(value)
                self.values += data
                self.lengths += struct.pack("<I", len(data))
            elif self.is_list:
                for child in value:
                    self.child.push(child)
                self.lengths += struct.pack("<I", len(value))
            elif self.is_struct:
                for field, item in zip(self.fields, value, strict=True):
                    field.push(item)
            else:
                self.values += scalar(self.kind, value)
        self.rows += 1
        if self.rows == 1024:
            self.end()

    def end(self):
        """Completes the strip, if it has rows."""
        if self.rows == 0:
            return
        for inner in [self.child] if self.is_list else self.fields:
            inner.end()
            self.values += inner.taken
            inner.taken.clear()
        self.taken += self.values + self.lengths
        if self.has_null:
            self.taken += self.bits.to_bytes((self.rows + 7) // 8, "little")
        self.taken.append(self.has_null)
        self.begin()


def leaves_of(kind, values):
    strips, leaves, rows, nulls = Strips(kind), [], 0, 0

    def leaf():
        strips.end()
        data = bytes(strips.taken)
        strips.taken.clear()
        end = struct.pack("<IIQ", rows, nulls, len(data))
        leaves.append(hashlib.sha256(b"\x00" + kind_text(kind).encode() + b"\x00" + data + end).digest())

    for value in values:
        strips.push(value)
        rows, nulls = rows + 1, nulls + (value is None)
        if rows == 65536:
            leaf()
            rows, nulls = 0, 0
    if rows:
        leaf()
    return leaves


def cell(kind, value):
    if value is None:
        return b"\x00"
    name = kind if isinstance(kind, str) else kind[0]
    if name in ("string", "binary"):
        data = value.encode() if name == "string" else bytes.fromhex(value)
        return b"\x01" + struct.pack("<I", len(data)) + data
    if name == "list":
        return b"\x01" + struct.pack("<I", len(value)) + b"".join(cell(kind[1], child) for child in value)
    if name == "map":
        entries = (cell(kind[1], key) + cell(kind[2], item) for key, item in value)
        return b"\x01" + struct.pack("<I", len(value)) + b"".join(entries)
    if name == "struct":
        return b"\x01" + b"".join(cell(k, item) for (_, k), item in zip(kind[1:], value, strict=True))
    return b"\x01" + (b"" if kind == "null" else scalar(kind, value))


def digests(columns, rows):
    """Of columns (name, kind, values): the four digests, and the leaves of each column."""
    leaves = [leaves_of(kind, values) for _, kind, values in columns]
    heads, entries = [], []
    for (name, kind, values), column_leaves in zip(columns, leaves):
        assert len(values) == rows, name
        column = hashlib.sha256(b"\x01" + b"".join(column_leaves) + struct.pack("<Q", rows)).digest()
        entries.append((name.encode(), kind_text(kind).encode(), column))
        heads.append(struct.pack("<I", len(name.encode())) + name.encode() + kind_text(kind).encode() + b"\x00")

    def content(entries):
        text = b"lineage-table-1\x00" + struct.pack("<IQ", len(entries), rows)
        for name, kind, column in entries:
            text += struct.pack("<I", len(name)) + name + kind + b"\x00" + column
        return hashlib.sha256(text).hexdigest()

    total = 0
    for row in range(rows):
        cells = b"".join(cell(kind, values[row]) for _, kind, values in columns)
        total += int.from_bytes(hashlib.sha256(b"lineage-row-1\x00" + cells).digest(), "little")
    unordered = b"lineage-rows-1\x00" + struct.pack("<I", len(columns)) + b"".join(heads)
    unordered += struct.pack("<Q", rows) + (total % 2**256).to_bytes(32, "little")
    return {
        "content_sha256": content(entries),
        "content_sorted_sha256": content(sorted(entries)),
        "unordered_sha256": hashlib.sha256(unordered).hexdigest(),
        "columns_sha256": [column.hex() for _, _, column in entries],
        "leaves": [[leaf.hex() for leaf in column_leaves] for column_leaves in leaves],
    }


# --- generated values -----------------------------------------------------------------------------


def generated(kind, n, list_length=4):
    if kind == "bool":
        return n % 2 == 1
    if kind == "int":
        return str(n - 500_000)
    if kind == "float64":
        return f64(n / 8 - 60_000)
    if kind == "decimal":
        return [str(n - 500_000), 2]
    if kind == "string":
        return "" if n % 7 == 0 else f"s{n}" + ("\u00e9" if n % 3 == 0 else "")
    if kind == "timestamp":
        return [str(n * 1000 - 500_000_000), str(n * 991)]
    if kind[0] == "list":
        inner = range(n + 1, n + 1 + n % list_length)
        return [None if k % 11 == 3 else generated(kind[1], k) for k in inner]
    inner = enumerate(kind[1:], n + 1)
    return [None if k % 5 == 0 else generated(field, k) for k, (_, field) in inner]


def generated_column(kind, column, rows, nulls, list_length=4):
    def value(row):
        n = (7919 * row + 31 * row * row + 104_729 * column) % 1_000_003
        return None if nulls and (row + column) % 13 == 5 else generated(kind, n, list_length)

    return [value(row) for row in range(rows)]


# --- cases ----------------------------------------------------------------------------------------


def f32(value):
    return struct.pack(">f", value).hex()


def f64(value):
    return struct.pack(">d", value).hex()


def seconds(second, nanosecond=0):
    return [str(second), str(nanosecond)]


def column(name, kind, arrow_type, values, *also):
    return {"name": name, "kind": kind, "arrow_type": arrow_type, "also": list(also), "values": values}


def case(name, columns, rows=None, leaves=False):
    if rows is None:
        rows = len(columns[0]["values"])
    found = digests([(c["name"], c["kind"], c["values"]) for c in columns], rows)
    if not leaves:
        del found["leaves"]
    written = [{**c, "kind": kind_text(c["kind"])} for c in columns]
    for c in written:
        if not c["also"]:
            del c["also"]
    return {"name": name, "rows": rows, "columns": written, **found}


def generated_case(name, rows, columns, nulls, list_length=4, repeat=0, leaves=False):
    """Columns as (name, kind, arrow_type)."""
    names = [(f"{n}{i}", k) for n, k, _ in columns for i in range(repeat)] if repeat else [c[:2] for c in columns]
    made = [(n, k, generated_column(k, i, rows, nulls, list_length)) for i, (n, k) in enumerate(names)]
    found = digests(made, rows)
    if not leaves:
        del found["leaves"]
    if repeat:
        del found["columns_sha256"]
    written = [{"name": n, "kind": kind_text(k), "arrow_type": a, **({"repeat": repeat} if repeat else {})}
               for n, k, a in columns]
    generator = {"nulls": nulls, "list_length": list_length}
    return {"name": name, "rows": rows, "columns": written, "generator": generator, **found}


STRINGS = ("large_utf8", "utf8_view", "dictionary(utf8)", "run_end_encoded(utf8)")
INTS = ("int8", "int16", "int32", "uint8", "uint16", "uint32", "dictionary(int32)", "run_end_encoded(int64)")
ENTRY = ("struct", ("name", "string"), ("n", "int"))
LIST = ("list", "int")
OTHER_LISTS = ("large_list(int32)", "list_view(int64)", "large_list_view(int8)")

# Of every kind: its Arrow type, three values, and other Arrow types that hold them.
KINDS = [
    ("bool", "bool", [True, False, True], ()),
    ("int", "int64", ["0", "127", "5"], INTS),
    ("uint64", "uint64", ["0", "9223372036854775808", "18446744073709551615"], ()),
    ("float32", "float32", [f32(0.1), f32(-1.5), "00000001"], ()),
    ("float64", "float64", [f64(0.1), f64(-1.5), "0000000000000001"], ()),
    ("decimal", "decimal128(9,2)", [["150", 2], ["-1", 2], ["10000", 2]],
     ("decimal32(9,2)", "decimal64(18,2)", "decimal128(38,2)", "decimal256(76,2)")),
    ("string", "utf8", ["ab", "\u00e9\U0001f600", "x\u0000y"], STRINGS),
    ("binary", "binary", ["00ff", "616263", "00"], ("large_binary", "binary_view")),
    ("date", "date32", ["0", "-1", "20000"], ("date64",)),
    ("time", "time64(us)", ["0", "86399000000000", "3000000"], ("time64(ns)",)),
    ("timestamp", "timestamp(ms)", [seconds(0), seconds(-1, 999_000_000), seconds(1_700_000_000, 5_000_000)],
     ("timestamp(us)", "timestamp(ns)")),
    ("instant", "timestamp(ms,UTC)", [seconds(0), seconds(-1, 999_000_000), seconds(1_700_000_000, 5_000_000)],
     ("timestamp(us,Europe/Zurich)", "timestamp(ns,+02:00)")),
    ("duration", "duration(ms)", [seconds(0), seconds(-1, 999_000_000), seconds(90_000, 1_000_000)],
     ("duration(us)", "duration(ns)")),
    (LIST, "list(int64)", [["1", "2"], ["3"], ["4", "5", "6"]], OTHER_LISTS),
    (ENTRY, "struct(4:name:utf8,1:n:int64)", [["a", "1"], ["", "2"], ["c", "3"]],
     ("struct(4:name:large_utf8,1:n:uint8)",)),
    (("map", "string", "int"), "map(utf8,int64)", [[["a", "1"], ["b", "2"]], [["", "3"]], [["c", "4"]]], ()),
]


def cases_of_kinds():
    for kind, arrow_type, values, also in KINDS:
        text = kind_text(kind)
        yield case(f"{text}: one row", [column("a", kind, arrow_type, values[:1], *also)])
        yield case(f"{text}: nulls among values",
                   [column("a", kind, arrow_type, [None, *values, None, None, values[0]], *also)])
        yield case(f"{text}: all null", [column("a", kind, arrow_type, [None] * 3, *also)])
        yield case(f"{text}: no rows", [column("a", kind, arrow_type, [], *also)])
    yield case("null: three rows", [column("a", "null", "null", [None] * 3)])
    yield case("null: no rows", [column("a", "null", "null", [])])
    everything = [column(f"column {i}", k, t, v, *also) for i, (k, t, v, also) in enumerate(KINDS)]
    everything.append(column("null", "null", "null", [None] * 3))
    yield case("a column of every kind", everything, leaves=True)


def cases_of_scalars():
    yield case("no columns, no rows", [], rows=0)
    yield case("no columns, five rows", [], rows=5)
    yield case("integers at their limits",
               [column("a", "int", "int64", ["-9223372036854775808", "9223372036854775807", "-1", "0"])])
    yield case("the same numbers as int and as uint64",
               [column("a", "int", "uint32", ["1", "4294967295"], "int64"), column("b", "uint64", "uint64", ["1", "4294967295"])])
    yield case("null is not 0", [column("a", "int", "int8", ["0", "0", "0"], "int64", "uint8")])
    yield case("float32: signed zeros, NaNs, infinities, subnormals", [column("a", "float32", "float32", [
        "00000000", "80000000", "7fc00000", "ffc00000", "7f800001", "7fffffff", "7f800000", "ff800000",
        "00000001", "80000001", "7f7fffff"])])
    yield case("float32: the same after normalisation", [column("a", "float32", "float32", [
        "80000000", "00000000", "ffc00001", "7f800001", "7fc00000", "ff812345", "7f800000", "ff800000",
        "00000001", "80000001", "7f7fffff"])])
    yield case("float64: signed zeros, NaNs, infinities, subnormals", [column("a", "float64", "float64", [
        "0000000000000000", "8000000000000000", "7ff8000000000000", "fff8000000000000", "7ff0000000000001",
        "7ff0000000000000", "fff0000000000000", "0000000000000001", "7fefffffffffffff"])])
    yield case("float64: the same after normalisation", [column("a", "float64", "float64", [
        "8000000000000000", "0000000000000000", "7ff800000000beef", "7ff0000000000001", "ffffffffffffffff",
        "7ff0000000000000", "fff0000000000000", "0000000000000001", "7fefffffffffffff"])])
    yield case("float32 0.1 widened to float64 is another value",
               [column("a", "float64", "float64", [f64(struct.unpack(">f", bytes.fromhex(f32(0.1)))[0])])])
    yield case("empty strings among nulls", [column("a", "string", "utf8", ["", None, "", "a", None], *STRINGS)])
    yield case("strings: ab and the empty one", [column("a", "string", "utf8", ["ab", ""], *STRINGS)])
    yield case("strings: a and b", [column("a", "string", "utf8", ["a", "b"], *STRINGS)])
    yield case("strings are not normalised", [column("a", "string", "utf8", ["\u00e9", "e\u0301"], *STRINGS)])
    yield case("binary: the same bytes as strings: ab and the empty one",
               [column("a", "binary", "binary", ["6162", ""], "large_binary", "binary_view")])
    yield case("binary of a fixed size", [column("a", "binary", "fixed_size_binary(2)", ["6162", None, "0000"], "binary")])
    yield case("decimal: scale 2", [column("a", "decimal", "decimal128(38,2)", [["150", 2], ["0", 2], ["-10000", 2], None])])
    yield case("decimal: the same with scale 3",
               [column("a", "decimal", "decimal128(38,3)", [["1500", 3], ["0", 3], ["-100000", 3], None], "decimal256(76,3)")])
    yield case("decimal: the same with scale 30", [column("a", "decimal", "decimal256(76,30)", [
        ["15" + "0" * 29, 30], ["0", 30], ["-1" + "0" * 32, 30], None])])
    yield case("decimal: negative scale", [column("a", "decimal", "decimal128(5,-3)", [["1", -3], ["-120", -3], ["0", -3]])])
    yield case("decimal: scale 0", [column("a", "decimal", "decimal128(38,0)", [["1000", 0], ["-120000", 0], ["0", 0]])])
    yield case("decimal: 76 digits", [column("a", "decimal", "decimal256(76,0)", [["9" * 76, 0], ["-" + "9" * 76, 0], ["1" + "0" * 75, 0]])])
    yield case("decimal: no scale below -128", [column("a", "decimal", "decimal256(76,-120)", [["1" + "0" * 20, -120], ["1" + "0" * 8, -120], ["1" + "0" * 7, -120]])])
    yield case("date64", [column("a", "date", "date64", ["-719162", "2932896", "0"], "date32")])
    yield case("time in seconds", [column("a", "time", "time32(s)", ["0", "86399000000000"], "time32(ms)", "time64(us)", "time64(ns)")])
    yield case("timestamp: before 1970, with nanoseconds", [column("a", "timestamp", "timestamp(ns)", [
        seconds(-1, 999_999_999), seconds(-1), seconds(0, 1), seconds(-9_223_372_036, 0), seconds(9_223_372_036, 854_775_807)])])
    yield case("timestamp: whole seconds, far away", [column("a", "timestamp", "timestamp(s)", [
        seconds(-62_167_219_200), seconds(253_402_300_799), None], "timestamp(ms)", "timestamp(us)")])
    yield case("instant: the same", [column("a", "instant", "timestamp(s,America/New_York)", [
        seconds(-62_167_219_200), seconds(253_402_300_799), None], "timestamp(us,UTC)")])
    yield case("duration: negative, with nanoseconds", [column("a", "duration", "duration(ns)", [
        seconds(-1, 999_999_999), seconds(-86_400), seconds(0, 1), seconds(-2, 1)])])
    yield case("duration in seconds", [column("a", "duration", "duration(s)", [seconds(-5), seconds(10**12)], "duration(ms)")])


def cases_of_nesting():
    yield case("lists of strings, with nulls and empty lists", [column("a", ("list", "string"), "list(utf8)", [
        ["ab", "", None], [], None, [None], ["c"], []], "large_list(utf8_view)", "list_view(large_utf8)", "list(dictionary(utf8))")])
    yield case("lists: all empty", [column("a", LIST, "list(int64)", [[], [], []], *OTHER_LISTS)])
    yield case("lists: one of two children, one empty", [column("a", LIST, "list(int64)", [["1", "2"], []], *OTHER_LISTS)])
    yield case("lists: two of one child", [column("a", LIST, "list(int64)", [["1"], ["2"]], *OTHER_LISTS)])
    yield case("lists of a fixed size", [column("a", LIST, "fixed_size_list(2,int32)", [["1", "2"], None, [None, "4"]], "list(int64)")])
    yield case("lists of nulls", [column("a", ("list", "null"), "list(null)", [[None, None], [], None])])
    yield case("lists of lists", [column("a", ("list", LIST), "list(list(int64))", [[["1"], [], None], None, [], [["2", None, "3"]]])])
    yield case("lists of structs", [column("a", ("list", ENTRY), "list(struct(4:name:utf8,1:n:int64))",
                                           [[["a", "1"], None, [None, None]], None, [["b", None]]])])
    yield case("exactly 1,024 children, then one more row",
               [column("a", LIST, "list(int64)", [[str(i) for i in range(1024)], ["7"]], *OTHER_LISTS[:1])])
    yield case("struct: null rows and null fields", [column("a", ENTRY, "struct(4:name:utf8,1:n:int64)",
               [["a", None], None, [None, None], [None, "1"], ["", "0"]])])
    yield case("struct: only null fields", [column("a", ENTRY, "struct(4:name:utf8,1:n:int64)", [[None, None], [None, None]])])
    yield case("struct: only null rows", [column("a", ENTRY, "struct(4:name:utf8,1:n:int64)", [None, None])])
    yield case("struct without fields", [column("a", ("struct",), "struct()", [[], None, []])])
    yield case("struct: names that look like kinds", [column("a", ("struct", ("a:int,1:b", "int"), ("", "string"), ("", "bool"), ("\u00e9)", "int")),
               "struct(9:a:int,1:b:int32,0::utf8,0::bool,3:\u00e9):int8)", [["1", "x", True, "2"]])])
    yield case("struct in a struct", [column("a", ("struct", ("x", ENTRY), ("y", ("list", "bool"))),
               "struct(1:x:struct(4:name:utf8,1:n:int64),1:y:list(bool))", [[["a", "1"], [True]], [None, None], None, [[None, "2"], [None, False]]])])
    entries = [[["a", "1"], ["b", None]], [], None, [["b", "2"], ["a", "1"]]]
    yield case("map: null rows, null values, order of entries", [column("a", ("map", "string", "int"), "map(utf8,int64)", entries)])
    yield case("the same as a list of structs", [column("a", ("list", ("struct", ("key", "string"), ("value", "int"))),
               "list(struct(3:key:utf8,5:value:int64))", entries)])
    yield case("map of lists", [column("a", ("map", "int", ("list", "float64")), "map(int32,list(float64))",
               [[["1", [f64(0.5), None]], ["2", None]], None, [["3", []]]])])


def cases_of_names():
    one, two = ["1", "2"], ["2", "1"]
    yield case("columns a, b", [column("a", "int", "int64", one), column("b", "int", "int64", two)])
    yield case("columns b, a", [column("b", "int", "int64", two), column("a", "int", "int64", one)])
    yield case("columns a, b with the values exchanged", [column("a", "int", "int64", two), column("b", "int", "int64", one)])
    yield case("duplicate names", [column("a", "int", "int64", two), column("a", "int", "int64", one), column("a", "bool", "bool", [True, None])])
    yield case("empty names", [column("", "int", "int64", one), column("", "int", "int64", one), column(" ", "int", "int64", one)])
    yield case("names that are not ASCII, out of order", [
        column(name, "int", "int64", one) for name in ("\U0001f600", "\ue000", "e\u0301", "\u00e9", "Z", "a b", "a,\"b\"\n")])


MIXED = [
    ("flag", "bool", "bool"), ("number", "int", "int64"), ("ratio", "float64", "float64"),
    ("text", "string", "utf8"), ("at", "timestamp", "timestamp(ns)"), ("price", "decimal", "decimal128(38,2)"),
    ("words", ("list", "string"), "list(utf8)"), ("entry", ENTRY, "struct(4:name:utf8,1:n:int64)"),
]


def cases_of_sizes():
    for rows in (1023, 1024, 1025, 65_535, 65_536, 65_537):
        for nulls in (False, True):
            yield generated_case(f"{rows:,} rows, {'with' if nulls else 'without'} nulls", rows, MIXED[1:4:2], nulls, leaves=True)
    yield generated_case("70,000 rows, with nulls", 70_000, MIXED, True, leaves=True)
    yield generated_case("2,050 rows of long lists", 2050, [("a", LIST, "list(int64)"), ("b", ("list", "string"), "list(utf8)")], True, 7)
    yield generated_case("more than 1,024 children in a strip", 6, [("a", LIST, "list(int64)"), ("b", ("list", "string"), "list(utf8)")], True, 3000)
    yield generated_case("lists of lists, more than 1,024 children in a strip", 1500, [("a", ("list", LIST), "list(list(int64))")], True, 50)
    yield generated_case("lists of structs, more than 1,024 children in a strip", 1500,
                         [("a", ("list", ENTRY), "list(struct(4:name:utf8,1:n:int64))")], True, 20)
    yield generated_case("10,000 columns", 3, [("c", "int", "int64")], True, repeat=10_000)


EQUAL = [
    ["float32: signed zeros, NaNs, infinities, subnormals", "float32: the same after normalisation"],
    ["float64: signed zeros, NaNs, infinities, subnormals", "float64: the same after normalisation"],
    ["decimal: scale 2", "decimal: the same with scale 3", "decimal: the same with scale 30"],
    ["decimal: negative scale", "decimal: scale 0"],
]


def table_json():
    makers = (cases_of_scalars, cases_of_kinds, cases_of_nesting, cases_of_names, cases_of_sizes)
    cases = [made for maker in makers for made in maker()]

    def line(value):
        return json.dumps(value, ensure_ascii=True, separators=(",", ":"))

    # A line for each text and each case, so that a difference can be read.
    parts = [f"\"about\": [\n{_lines(map(line, ABOUT))}\n]", f"\"equal\": {line(EQUAL)}",
             f"\"cases\": [\n{_lines(map(line, cases))}\n]"]
    return ("{" + ",\n".join(parts) + "}\n").encode()


def _lines(texts):
    return ",\n".join(texts)
