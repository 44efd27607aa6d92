"""Makes Arrow arrays of values written as in testdata/vectors/table.json, and writes them to files.

Needs pyarrow. What lies under a null is filled with other values on purpose: no reader may take it
for content.
"""

import gzip
import json
import re
import struct
import sys
from pathlib import Path

import pyarrow
import pyarrow.compute
import pyarrow.parquet

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testdata"))

UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
PLAIN = {"null": pyarrow.null(), "bool": pyarrow.bool_(), "float32": pyarrow.float32(), "float64": pyarrow.float64(),
         "utf8": pyarrow.string(), "large_utf8": pyarrow.large_string(), "utf8_view": pyarrow.string_view(),
         "binary": pyarrow.binary(), "large_binary": pyarrow.large_binary(), "binary_view": pyarrow.binary_view(),
         "date32": pyarrow.date32(), "date64": pyarrow.date64()}
PLAIN |= {name: getattr(pyarrow, name)() for sign in ("int", "uint") for name in (f"{sign}{bits}" for bits in (8, 16, 32, 64))}
LISTS = {"list": pyarrow.list_, "large_list": pyarrow.large_list, "list_view": pyarrow.list_view,
         "large_list_view": pyarrow.large_list_view}


# --- types ----------------------------------------------------------------------------------------


def parse_type(text):
    """`list(timestamp(us))` as ("list", [("timestamp", ["us"])]); fields of a struct as (name, type)."""
    tree, rest = _parse_type(text.encode())
    assert not rest, text
    return tree


def _parse_type(data):
    name, rest = re.fullmatch(rb"([a-z0-9_]+)(.*)", data, re.DOTALL).groups()
    name, arguments = name.decode(), []
    if not rest.startswith(b"("):
        return (name, arguments), rest
    rest = rest[1:]
    while not rest.startswith(b")"):
        rest = rest.removeprefix(b",")
        if name == "struct":
            length, _, rest = rest.partition(b":")
            field, rest = rest[:int(length)].decode(), rest[int(length) + 1:]
            argument, rest = _parse_type(rest)
            arguments.append((field, argument))
        elif name in LISTS or name in ("map", "dictionary", "run_end_encoded") or name == "fixed_size_list" and arguments:
            argument, rest = _parse_type(rest)
            arguments.append(argument)
        else:
            text, rest = re.fullmatch(rb"([^,)]+)(.*)", rest, re.DOTALL).groups()
            arguments.append(text.decode())
    return (name, arguments), rest[1:]


def arrow_type(tree):
    name, arguments = tree
    if name in PLAIN:
        return PLAIN[name]
    if name.startswith("decimal"):
        return getattr(pyarrow, name)(*map(int, arguments))
    if name in ("time32", "time64", "duration", "timestamp"):
        return getattr(pyarrow, name)(*arguments)
    if name == "fixed_size_binary":
        return pyarrow.binary(int(arguments[0]))
    if name in LISTS:
        return LISTS[name](arrow_type(arguments[0]))
    if name == "fixed_size_list":
        return pyarrow.list_(arrow_type(arguments[1]), int(arguments[0]))
    if name == "map":
        return pyarrow.map_(*map(arrow_type, arguments))
    if name == "struct":
        return pyarrow.struct([pyarrow.field(field, arrow_type(inner)) for field, inner in arguments])
    if name == "dictionary":
        return pyarrow.dictionary(pyarrow.int32(), arrow_type(arguments[0]))
    return pyarrow.run_end_encoded(pyarrow.int32(), arrow_type(arguments[0]))


def type_names(tree):
    """All names in a type, those of its parts too."""
    name, arguments = tree
    yield name
    for argument in arguments:
        if isinstance(argument, tuple):
            yield from type_names(argument[1] if name == "struct" else argument)


# --- arrays ---------------------------------------------------------------------------------------


def array(tree, values):
    name, arguments = tree
    if name == "null":
        return pyarrow.nulls(len(values))
    if name == "dictionary":
        return array(arguments[0], values).dictionary_encode()
    if name == "run_end_encoded":
        return pyarrow.compute.run_end_encode(array(arguments[0], values))
    kind = arrow_type(tree)
    present = [value for value in values if value is not None]
    if not present:
        if not kind.num_fields:
            return pyarrow.nulls(len(values), kind)
        # pyarrow.nulls makes run-end encoded children that are not valid.
        fillers = {"struct": len(arguments), "fixed_size_list": kind.list_size if name == "fixed_size_list" else 0}
        present = [[None] * fillers.get(name, 0)]
    dense = _dense(tree, kind, [present[at % len(present)] if value is None else value for at, value in enumerate(values)])
    if None not in values:
        return dense
    validity = sum((value is not None) << at for at, value in enumerate(values))
    buffers = [pyarrow.py_buffer(validity.to_bytes((len(values) + 7) // 8, "little")), *_own_buffers(dense)[1:]]
    return pyarrow.Array.from_buffers(kind, len(values), buffers, children=_children(dense))


def _children(array):
    kind = array.type
    if pyarrow.types.is_struct(kind):
        return [array.field(at) for at in range(kind.num_fields)]
    if pyarrow.types.is_map(kind):
        return [pyarrow.StructArray.from_arrays([array.keys, array.items], fields=[kind.key_field, kind.item_field])]
    return [array.values] if kind.num_fields else []


def _own_buffers(array):
    """Those of the array without those of its children."""
    kind = array.type
    if not kind.num_fields:
        return array.buffers()
    views = pyarrow.types.is_list_view(kind) or pyarrow.types.is_large_list_view(kind)
    none = pyarrow.types.is_struct(kind) or pyarrow.types.is_fixed_size_list(kind)
    return array.buffers()[:1 if none else 3 if views else 2]


def _dense(tree, kind, values):
    """An array of values none of which is null."""
    name, arguments = tree
    if name in ("float32", "float64"):
        return pyarrow.array([int(value, 16) for value in values], PLAIN["u" + name.replace("float", "int")]).view(kind)
    if re.fullmatch("u?int[0-9]+", name):
        return pyarrow.array([int(value) for value in values], kind)
    if name.startswith("decimal"):
        size = int(name.removeprefix("decimal")) // 8
        data = b"".join(int(unscaled).to_bytes(size, "little", signed=True) for unscaled, _ in values)
        return pyarrow.Array.from_buffers(kind, len(values), [None, pyarrow.py_buffer(data)])
    if "binary" in name:
        return pyarrow.array([bytes.fromhex(value) for value in values], kind)
    if name in ("bool", "utf8", "large_utf8", "utf8_view"):
        return pyarrow.array(values, kind)
    if name in ("date32", "time32"):
        factor = 10**9 // UNITS[arguments[0]] if arguments else 1
        return pyarrow.array([_exact(int(value), factor) for value in values], pyarrow.int32()).view(kind)
    if name in ("date64", "time64"):
        numbers = [int(value) * 86_400_000 if name == "date64" else _exact(int(value), 10**9 // UNITS[arguments[0]])
                   for value in values]
        return pyarrow.array(numbers, pyarrow.int64()).view(kind)
    if name in ("timestamp", "duration"):
        return pyarrow.array([in_unit(value, arguments[0]) for value in values], pyarrow.int64()).view(kind)
    if name == "struct":
        if not arguments:
            return pyarrow.array([{}] * len(values), kind)
        children = [array(inner, [value[at] for value in values]) for at, (_, inner) in enumerate(arguments)]
        return pyarrow.StructArray.from_arrays(children, fields=list(kind))
    return _dense_list(name, arguments, kind, values)


def _dense_list(name, arguments, kind, values):
    children = [child for value in values for child in value]
    if name == "map":
        entry = ("struct", [("key", arguments[0]), ("value", arguments[1])])
        entries = array(entry, children)
        keys, items = entries.field(0), entries.field(1)
        return pyarrow.MapArray.from_arrays(pyarrow.array(_offsets(values), pyarrow.int32()), keys, items, kind)
    child = array(arguments[-1], children)
    if name == "fixed_size_list":
        return pyarrow.FixedSizeListArray.from_arrays(child, type=kind)
    offsets = pyarrow.array(_offsets(values), pyarrow.int64() if name.startswith("large") else pyarrow.int32())
    if name in ("list", "large_list"):
        return type(pyarrow.nulls(0, kind)).from_arrays(offsets, child, type=kind)
    sizes = pyarrow.array([len(value) for value in values], offsets.type)
    return type(pyarrow.nulls(0, kind)).from_arrays(offsets[:-1], sizes, child, type=kind)


def _offsets(values):
    offsets = [0]
    for value in values:
        offsets.append(offsets[-1] + len(value))
    return offsets


def _exact(number, divisor):
    assert number % divisor == 0, f"{number} is no whole number of units"
    return number // divisor


def in_unit(value, unit):
    second, nanosecond = map(int, value)
    return second * UNITS[unit] + _exact(nanosecond, 10**9 // UNITS[unit])


def table(columns, rows):
    """Of columns (name, Arrow type as a text, values)."""
    trees = [parse_type(text) for _, text, _ in columns]
    schema = pyarrow.schema([pyarrow.field(name, arrow_type(tree)) for (name, _, _), tree in zip(columns, trees)])
    if not columns:
        empty = pyarrow.array([{}] * rows, pyarrow.struct([]))
        return pyarrow.Table.from_batches([pyarrow.RecordBatch.from_struct_array(empty)])
    return pyarrow.Table.from_arrays([array(tree, values) for tree, (_, _, values) in zip(trees, columns)], schema=schema)


# --- Parquet and Arrow ----------------------------------------------------------------------------

PARQUET = {
    "snappy": {"compression": "snappy"},
    "zstd, small row groups, no dictionary": {"compression": "zstd", "use_dictionary": False, "row_group_size": 1000},
    "gzip, pages of version 2": {"compression": "gzip", "data_page_version": "2.0", "data_page_size": 500},
    "brotli, row groups of 3 rows": {"compression": "brotli", "row_group_size": 3},
    "lz4, format 1.0": {"compression": "lz4", "version": "1.0"},
    "uncompressed, no Arrow schema": {"compression": "none", "store_schema": False},
}
ARROW = {
    "file": {"file": True},
    "file of small batches, zstd": {"file": True, "rows": 999, "compression": "zstd"},
    "stream of small batches, lz4": {"rows": 1500, "compression": "lz4"},
    "stream of tiny batches": {"rows": 7},
}


def parquet_obstacle(option, trees, rows):
    """Why pyarrow cannot carry these columns in Parquet as they are; None when it can."""
    names = {name for tree in trees for name in type_names(tree)}
    if not trees:
        return "no columns"
    if "run_end_encoded" in names:
        return "run-end encoding"
    if any(name == "struct" and not arguments for name, arguments in subtrees(trees)):
        return "a struct without fields"
    if any(name.startswith("decimal") and int(arguments[1]) < 0 for name, arguments in subtrees(trees)):
        return "a decimal of a negative scale"
    if any(name.startswith("timestamp") and arguments[0] == "ns" for name, arguments in subtrees(trees)) and "1.0" in option:
        return "nanoseconds in format 1.0"
    if any(text.endswith("_view") and "list" not in text for tree in trees for text in list(type_names(tree))[1:]):
        return "a string or binary view within another type"
    if "row groups of 3" in option and (rows > 3000 or len(trees) > 1000):
        return "too many row groups"
    if "no Arrow schema" in option and "duration" in names:
        return "durations without an Arrow schema are int"
    return None


def subtrees(trees):
    for tree in trees:
        yield tree
        name, arguments = tree
        yield from subtrees([a[1] if name == "struct" else a for a in arguments if isinstance(a, tuple)])


def write_parquet(path, data, options):
    options = dict(options)
    size = options.pop("row_group_size", None)
    pyarrow.parquet.write_table(data, path, row_group_size=size, **options)


def write_arrow(path, data, options):
    write_options = pyarrow.ipc.IpcWriteOptions(compression=options.get("compression"), unify_dictionaries=bool(options.get("file")))
    new = pyarrow.ipc.new_file if options.get("file") else pyarrow.ipc.new_stream
    with pyarrow.OSFile(str(path), "wb") as sink, new(sink, data.schema, options=write_options) as writer:
        writer.write_table(data, max_chunksize=options.get("rows", 1 << 20))


# --- CSV and NDJSON -------------------------------------------------------------------------------

DECLARABLE = {"bool", "int", "uint64", "float32", "float64", "decimal", "string", "date", "time", "timestamp", "instant"}
DAY = 86_400
# What a date can write: the years 0000 to 9999.
FIRST_DAY, LAST_DAY = -719_528, 2_932_896
# Between these two days one int64 of nanoseconds holds every moment.
NEAR = (-106_751 * DAY, 106_751 * DAY)


def civil(days):
    """Year, month and day of a number of days since 1970-01-01."""
    era, day = divmod(days + 719_468, 146_097)
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    return year + era * 400 + (month >= 10), month + 3 if month < 10 else month - 9, day - (153 * month + 2) // 5 + 1


def date_text(days):
    return "{:04}-{:02}-{:02}".format(*civil(days))


def time_text(second, nanosecond):
    text = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    return f"{text}.{nanosecond:09}".rstrip("0") if nanosecond else text


def float_of(text):
    return struct.unpack(">f" if len(text) == 8 else ">d", bytes.fromhex(text))[0]


def text_of(kind, value):
    """A value as CSV writes it."""
    if kind == "bool":
        return "true" if value else "false"
    if kind in ("float32", "float64"):
        return repr(float_of(value))
    if kind == "decimal":
        return f"{value[0]}e{-value[1]}"
    if kind == "date":
        return date_text(int(value))
    if kind == "time":
        return time_text(*divmod(int(value), 10**9))
    if kind in ("timestamp", "instant"):
        day, second = divmod(int(value[0]), DAY)
        return f"{date_text(day)}T{time_text(second, int(value[1]))}" + ("Z" if kind == "instant" else "")
    return value


def longest_side(number, scale):
    """Digits on the longer side of a decimal's point, without needless zeros."""
    digits = str(abs(number)).rstrip("0")
    after = scale - (len(str(abs(number))) - len(digits))
    return max(len(digits) - after, after) if digits else 0


def text_obstacle(columns):
    """Why a text format with a schema cannot carry columns (name, kind, values); None when it can."""
    if not columns:
        return "no columns"
    for _, kind, values in columns:
        present = [value for value in values if value is not None]
        if kind not in DECLARABLE:
            return "a kind that no schema declares"
        if kind in ("timestamp", "instant"):
            moments = [int(second) for second, _ in present]
            if any(not FIRST_DAY <= moment // DAY <= LAST_DAY for moment in moments):
                return "a year beyond four digits"
            fine = any(int(nanosecond) % 1000 for _, nanosecond in present)
            if fine and any(not NEAR[0] <= moment < NEAR[1] for moment in moments):
                return "nanoseconds beside moments far away"
        if kind == "decimal" and any(longest_side(int(number), scale) > 38 for number, scale in present):
            return "a decimal of more than 38 digits on a side"
        if kind == "date" and any(not FIRST_DAY <= int(day) <= LAST_DAY for day in present):
            return "a year beyond four digits"
    return None


def csv_obstacle(columns):
    texts = [value for _, kind, values in columns if kind == "string" for value in values if value]
    if any("\0" in text for text in [*texts, *(name for name, _, _ in columns)]):
        return "a NUL"
    if len(columns) == 1 and columns[0][1] == "string" and None in columns[0][2]:
        return "a null in a single column of strings"
    return None


def quoted(text, always=False):
    return '"' + text.replace('"', '""') + '"' if always or text == "" or re.search('[",\r\n]', text) else text


def csv_text(columns, rows, line_end="\n"):
    lines = [",".join(quoted(name) for name, _, _ in columns)]
    null = '""' if len(columns) == 1 else ""  # an empty line is no record
    for row in range(rows):
        cells = ((kind, values[row]) for _, kind, values in columns)
        lines.append(",".join(null if value is None else quoted(text_of(kind, value)) for kind, value in cells))
    return line_end.join(lines) + line_end


def ndjson_text(columns, rows):
    lines = []
    for row in range(rows):
        pairs = []
        for at, (name, kind, values) in enumerate(columns):
            value = values[row]
            if value is None and (row + at) % 2:
                continue  # a key that is missing is null too
            text = None if value is None else text_of(kind, value)
            bare = text in (None, "true", "false") or kind in ("int", "uint64") or kind.startswith("float") and text not in ("nan", "inf", "-inf")
            pairs.append(json.dumps(name) + ":" + ("null" if text is None else text if bare and kind != "string" else json.dumps(text)))
        lines.append("{" + ",".join(pairs) + "}\n")
    return "".join(lines)


def write_text(path, text):
    """Compressed when the path says so."""
    data = text.encode()
    if path.suffix == ".gz":
        data = gzip.compress(data, mtime=0)
    elif path.suffix == ".zst":
        sink = pyarrow.BufferOutputStream()
        with pyarrow.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(data)
        data = sink.getvalue().to_pybytes()
    path.write_bytes(data)
