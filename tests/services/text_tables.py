"""Reads CSV and NDJSON as docs/formats/fingerprint.md says, on its own: the values as they stand in
testdata/vectors/table.json. Standard library only, and slow.
"""

import json
import re
import struct
from fractions import Fraction

DAY = 86_400
# Beyond this many days from 1970 an int64 of nanoseconds does not hold every moment.
NEAR_DAYS = 106_751


class Refused(Exception):
    """The text is not a table."""


# --- values -----------------------------------------------------------------------------------------

INT = re.compile("0|-?[1-9][0-9]*")
WORD = re.compile("nan|-?inf|-?infinity", re.IGNORECASE | re.ASCII)
SIGNED_WORD = re.compile("nan|[+-]?inf|[+-]?infinity", re.IGNORECASE | re.ASCII)
FLOAT = re.compile(r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
MOMENT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?")
TIME = re.compile(r"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?")
DECIMAL = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?")


def days_of(year, month, day):
    """Days since 1970-01-01, or None when there is no such day."""
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    lengths = [31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    if not 1 <= month <= 12 or not 1 <= day <= lengths[month - 1]:
        return None
    before = year - 1  # whole years since year 1; floor division serves year 0 too
    return 365 * before + before // 4 - before // 100 + before // 400 + sum(lengths[:month - 1]) + day - 719_163


def clock(hour, minute, second, fraction):
    """Seconds and nanoseconds of a time of day, or None."""
    hour, minute, second = int(hour), int(minute), int(second or 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    return 3600 * hour + 60 * minute + second, int((fraction or "").ljust(9, "0"))


def moment(text):
    """The class of a date, timestamp or instant with its seconds and nanoseconds, or None."""
    found = MOMENT.fullmatch(text)
    if not found:
        return None
    days = days_of(*map(int, found.group(1, 2, 3)))
    if days is None:
        return None
    if found[4] is None:
        return "date", days * DAY, 0
    time = clock(*found.group(4, 5, 6, 7))
    if time is None:
        return None
    second, zone = days * DAY + time[0], found[8]
    if zone is None:
        return "timestamp", second, time[1]
    if zone != "Z":
        hours, minutes = int(zone[1:3]), int(zone[-2:]) if len(zone) > 3 else 0
        if hours > 23 or minutes > 59:
            return None
        second -= (3600 * hours + 60 * minutes) * (-1 if zone[0] == "-" else 1)
    return "instant", second, time[1]


def is_float(text):
    if WORD.fullmatch(text) or text == "-0":
        return True
    marked = any(mark in text for mark in ".eE")
    return bool(marked and FLOAT.fullmatch(text)) and abs(float(text)) != float("inf")


def class_of(text):
    if text.lower() in ("true", "false"):
        return "bool"
    if INT.fullmatch(text) and len(text) <= 20:
        if -(2**63) <= int(text) < 2**63:
            return "int"
        if 2**63 <= int(text) < 2**64:
            return "uint64"
    if is_float(text):
        return "float"
    found = moment(text)
    return found[0] if found else "string"


def kind_of(texts):
    """The kind of a column of these texts."""
    classes = {class_of(text) for text in texts}
    numbers = [int(text) for text in texts if class_of(text) in ("int", "uint64")]
    if not classes:
        return "null"
    if classes == {"bool"} or classes == {"int"} or classes == {"date"}:
        return classes.pop()
    if classes <= {"int", "uint64"}:
        return "uint64" if min(numbers) >= 0 else "string"
    if classes <= {"int", "float"}:
        return "float64" if all(abs(number) <= 2**53 for number in numbers) else "string"
    if classes <= {"date", "timestamp"} or classes == {"instant"}:
        moments = [moment(text)[1:] for text in texts]
        fine = any(nanosecond % 1000 for _, nanosecond in moments)
        far = any(not -NEAR_DAYS * DAY <= second < NEAR_DAYS * DAY for second, _ in moments)
        return "string" if fine and far else "instant" if classes == {"instant"} else "timestamp"
    return "string"


def bits(value, form):
    return struct.pack(form, value).hex()


def float32_bits(text):
    """The float32 nearest to the text itself: not to its double, which may lie on the other side of a tie."""
    try:
        first = int.from_bytes(struct.pack(">f", float(text)))
    except OverflowError:
        raise Refused(f"{text} is no float32") from None
    if SIGNED_WORD.fullmatch(text) or float(text) == 0:
        return f"{first:08x}"
    exact = Fraction(re.sub(r"\.(?=[eE]|$)", "", text))
    near = [b for b in (first - 1, first, first + 1) if b % 2**31 < 0x7F80_0000 and b // 2**31 == first // 2**31]
    return min((abs(Fraction(struct.unpack(">f", b.to_bytes(4))[0]) - exact), b % 2, f"{b:08x}") for b in near)[2]


def value_of(kind, text):
    """A text as a value of an inferred or declared kind. Declared kinds take more texts."""
    if kind == "string":
        return text
    if kind == "bool" and text.lower() in ("true", "false", "0", "1"):
        return text.lower() in ("true", "1")
    if kind in ("int", "uint64") and re.fullmatch("[+-]?[0-9]+", text):
        number = int(text)
        if (-(2**63) <= number < 2**63) if kind == "int" else 0 <= number < 2**64:
            return str(number)
    if kind in ("float32", "float64"):
        number = re.fullmatch(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", text)
        if SIGNED_WORD.fullmatch(text) or number and abs(float(text)) != float("inf"):
            return float32_bits(text) if kind == "float32" else bits(float(text), ">d")
    if kind == "decimal":
        found = DECIMAL.fullmatch(text)
        if found and (found[2] or found[3]):
            digits, fraction = found[2] + (found[3] or ""), found[3] or ""
            number, scale = int(found[1] + digits), len(fraction) - int(found[4] or 0)
            short = str(abs(number)).rstrip("0")
            after = scale - (len(str(abs(number))) - len(short))
            if not short or max(len(short) - after, after) <= 38:
                return [str(number), scale]
    if kind == "time" and (found := TIME.fullmatch(text)) and (time := clock(*found.groups())):
        return str(time[0] * 10**9 + time[1])
    if kind in ("date", "timestamp", "instant") and (found := moment(text)):
        if kind == "date" and found[0] == "date":
            return str(found[1] // DAY)
        if kind == found[0] or kind == "timestamp" and found[0] == "date":
            return [str(found[1]), str(found[2])]
    raise Refused(f"{text!r} is no {kind}")


# --- CSV ------------------------------------------------------------------------------------------


def csv_records(data, delimiter=","):
    """Lists of (text, whether it was quoted)."""
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError:
        raise Refused("not UTF-8") from None
    if "\0" in text:
        raise Refused("a NUL")
    quoted = r'"((?:[^"]|"")*)"'
    field = re.compile(rf'(?:{quoted}|([^"{delimiter}\r\n]*))({delimiter}|\r?\n|\Z)')
    records, record, at = [], [], 0
    while at < len(text) or record:
        if not record and (blank := re.compile(r"\r?\n").match(text, at)):
            at = blank.end()
            continue
        found = field.match(text, at)
        if not found:
            raise Refused(f"a quote or carriage return out of place at {at}")
        is_quoted = found[1] is not None
        record.append((found[1].replace('""', '"') if is_quoted else found[2], is_quoted))
        at = found.end()
        if found[3] != delimiter:
            records.append(record)
            record = []
    return records


def csv_table(data, delimiter=",", schema=None):
    """Columns (name, kind, values) and the number of rows."""
    records = csv_records(data, delimiter)
    if not records:
        raise Refused("no header")
    names = [text for text, _ in records.pop(0)]
    for record in records:
        if len(record) != len(names):
            raise Refused(f"a record of {len(record)} fields, not {len(names)}")
    if schema is not None and [name for name, _ in schema] != names:
        raise Refused("other columns than the schema's")
    columns = []
    for at, name in enumerate(names):
        fields = [record[at] for record in records]
        kind = schema[at][1] if schema else kind_of([text for text, _ in fields if text])
        # Without a quote, nothing is null. With quotes it is a string, where there are strings.
        values = [value_of(kind, text) if text or quoted and kind == "string" else None for text, quoted in fields]
        columns.append((name, kind, values))
    return columns, len(records)


# --- NDJSON -----------------------------------------------------------------------------------------


class Number(str):
    """A number as it was written."""


class Object(dict):
    """An object whose keys are known to be different."""

    def __init__(self, pairs):
        super().__init__(pairs)
        if len(self) != len(pairs):
            raise Refused("a key twice")


def no_constant(text):
    raise Refused(f"{text} is not JSON")


def typed(values):
    """The kind of JSON values and the values of that kind."""
    present = [value for value in values if value is not None]
    types = {Number if type(value) is Number else type(value) for value in present}
    if len(types) > 1:
        raise Refused("values of different types")
    if not types:
        return "null", values
    only = types.pop()
    if only is bool:
        return "bool", values
    if only is str:
        return "string", values
    if only is Number:
        kind = kind_of(present)
        if kind == "string" or any(class_of(text) not in ("int", "uint64", "float") for text in present):
            raise Refused("numbers of which no kind holds all")
        return kind, [value and value_of(kind, value) for value in values]
    if only is list:
        kind, children = typed([child for value in present for child in value])
        children = iter(children)
        return f"list({kind})", [None if value is None else [next(children) for _ in value] for value in values]
    names = list(dict.fromkeys(name for value in present for name in value))
    fields = [typed([value.get(name) if value is not None else None for value in values]) for name in names]
    kind = ",".join(f"{len(name.encode())}:{name}:{inner}" for name, (inner, _) in zip(names, fields))
    return f"struct({kind})", [None if value is None else [inner[at] for _, inner in fields] for at, value in enumerate(values)]


def declared(kind, value):
    if value is None or value == "" and kind != "string":
        return None
    if isinstance(value, bool) and kind == "bool":
        return value
    if isinstance(value, str):
        return value_of(kind, str(value))
    raise Refused(f"{value!r} is no {kind}")


def ndjson_table(data, schema=None):
    decoder = json.JSONDecoder(object_pairs_hook=Object, parse_int=Number, parse_float=Number, parse_constant=no_constant)
    try:
        rows = [decoder.decode(line) for line in data.decode().split("\n") if line.strip(" \t\r")]
    except ValueError as error:
        raise Refused(str(error)) from None
    if not all(isinstance(row, Object) for row in rows):
        raise Refused("a line that is no object")
    names = list(dict.fromkeys(name for row in rows for name in row))
    if schema is None:
        return [(name, *typed([row.get(name) for row in rows])) for name in names], len(rows)
    if set(names) - {name for name, _ in schema}:
        raise Refused("a key that is not in the schema")
    return [(name, kind, [declared(kind, row.get(name)) for row in rows]) for name, kind in schema], len(rows)
