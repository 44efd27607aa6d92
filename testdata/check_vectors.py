#!/usr/bin/env python3
"""Checks the golden vectors, or a registry, without lineage. Standard library only.

    python3 testdata/check_vectors.py                           the vectors beside this file
    python3 testdata/check_vectors.py --registry DIR/.lineage   the log of a registry, read-only

It shares no code with lineage or make_vectors.py; docs/formats says what it checks. Exit 0: all
holds; exit 1: each line on standard output is one thing that does not.
"""
import json, os, re, sqlite3, sys
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

problems = []


def expect(holds, *words):
    if not holds:
        problems.append(" ".join(map(str, words)))


def digest(data):
    return sha256(data).hexdigest()


def es_number(value):
    """ECMAScript's text of a finite double: repr() finds the digits, the layout is ECMAScript's own."""
    mantissa, _, power = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(power or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0") or "0"
    if digits == "0" or 0 < point <= 21:
        whole, fraction = digits[:max(point, 1)].ljust(point, "0"), digits[max(point, 1):]
    elif -6 < point <= 0:
        whole, fraction = "0", "0" * -point + digits
    else:
        whole, fraction = digits[0], digits[1:]
    text = whole + ("." + fraction if fraction else "")
    exponent = "" if digits == "0" or -6 < point <= 21 else f"e{point - 1:+d}"
    return ("-" if value < 0 else "") + text + exponent


def number(text):
    """Integers are exact or their double's own text; doubles are finite and not -0."""
    value = float(text)
    plain = text.lstrip("-").isdigit()
    if str(value) in ("inf", "-inf", "nan", "-0.0") or plain and abs(int(text)) >= 2**53 and es_number(value) != text:
        raise ValueError(f"{text} is not allowed")
    return int(text) if plain and abs(int(text)) < 2**53 else value


def unique(pairs):
    if len(dict(pairs)) != len(pairs):
        raise ValueError("duplicate key")
    return dict(pairs)


def parse(text):
    return json.loads(text, object_pairs_hook=unique, parse_int=number, parse_float=number, parse_constant=number)


def dump(value, pad=None):
    """Canonical JSON; with `pad` the same laid out for people."""
    if isinstance(value, float):
        return es_number(value)
    if not isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    inner, start, stop = None if pad is None else pad + "  ", *("{}" if isinstance(value, dict) else "[]")
    parts = [dump(item, inner) for item in value]
    if isinstance(value, dict):
        keys, colon = sorted(value, key=lambda key: key.encode("utf-16-be")), ":" if pad is None else ": "
        parts = [dump(key) + colon + dump(value[key], inner) for key in keys]
    if pad is None or not parts:
        return start + ",".join(parts) + stop
    return f"{start}\n{inner}" + f",\n{inner}".join(parts) + f"\n{pad}{stop}"


def without(value, *keys):
    return {key: value[key] for key in value if key not in keys}


def metadata(entry, entry_sha256):
    version, details = entry["details"]["version"], entry["details"]
    document = without(details, "version", "request_sha256", "idempotency_key", "clock_behind_us")
    document |= {"schema": "lineage.metadata/1", "version": version["number"], "label": version["label"]}
    document |= {"artifact": without(version, "number", "label", "metadata_path"), "session": entry["session"]}
    document |= {"created": entry["time"], "actor": entry["actor"], "lineage": {"entry_sha256": entry_sha256}}
    document["lineage"] |= {key: entry[key] for key in ("registry", "seq", "writer")}
    return (dump(document, "") + "\n").encode()


def request(details):
    version, given = details["version"], ("model", "params", "metrics", "seed", "features", "target")
    document = {key: details[key] for key in given} | {"label": version and version["label"]}
    document["artifact"] = version and {key: version[key] for key in ("kind", "sha256")}
    document["datasets"] = [{key: d[key] for key in ("role", "name", "sha256")} for d in details["datasets"]]
    return digest(dump(document).encode())


def reproducibility(details, environment):
    """docs/formats/reproducibility.md: the document, and its digest when data and code are known."""
    datasets, code, environment = details["datasets"], details.get("code"), environment or {}
    found = dict.fromkeys("params data schema_sources seed features target code interpreter packages".split())
    found["schema"], found["seed"] = "lineage.reproducibility/1", details["seed"]
    found["features"], found["target"] = details["features"] or None, details["target"] or None
    found["params"] = [{k: p[k] for k in ("name", "text")} for p in details["params"] if p["text"] != "[removed]"] or None
    if datasets and not any(d.get("changed_to_sha256") for d in datasets):
        found["data"], found["schema_sources"] = [], []
        for d in datasets:
            of, table = {k: d[k] for k in ("role", "name")}, d["table"] or {}
            content = {"content_sha256": table.get("content_sha256")}
            what = content if content["content_sha256"] else {k: d[k] for k in ("kind", "sha256")}
            found["data"].append(of | what | {"row_range": d["row_range"]})
            if table:
                source = table["schema"] or {"kind": "file", "sha256": None}
                found["schema_sources"].append(of | {k: source[k] for k in ("kind", "sha256")})
    if code and (code["diff_sha256"] or not code["dirty"]):
        found["code"] = {k: code[k] for k in ("commit", "diff_sha256")}
    for name, implementation in (("r", {"implementation": "R"}), ("python", {})):
        ran = implementation | environment.get(name, {"unavailable": ""})
        if "unavailable" not in ran:
            found["interpreter"] = {k: ran[k] for k in ("implementation", "version")}
            found["packages"] = ran["packages"]
    known = found["data"] is not None and found["code"] is not None
    return found, digest(dump(found).encode()) if known else None


ENVELOPE = set("v writer seq time registry type details_v component action actor session subject details "
               "risk_impact compliance_tags prev".split())
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def check_log(rows):
    """Checks (bytes, digest) of each entry; returns those that could be read."""
    entries, prev, registry = [], "0" * 64, None
    for seq, (data, claimed) in enumerate(rows):
        try:
            entry = parse(data.decode())
            registry = registry or entry["registry"]
            expect(dump(entry).encode() == data, "entry", seq, "is not canonical")
            expect(digest(data) == claimed, "entry", seq, "does not have the digest", claimed)
            expect(set(entry) == ENVELOPE and entry["v"] == 1, "entry", seq, "has another envelope")
            expect(TIME.fullmatch(entry["time"]) and len(data) <= 2**20, "entry", seq, "has a wrong time or size")
            expect(entry["seq"] == seq, "entry", seq, "calls itself", entry["seq"])
            expect(entry["prev"] == prev, "entry", seq, "does not follow from the one before")
            expect(entry["registry"] == registry, "entry", seq, "belongs to another registry")
            if entry["type"] == "session.completed":
                same = request(entry["details"]) == entry["details"]["request_sha256"]
                expect(same, "entry", seq, "has another request digest")
            entries.append((entry, digest(data)))
        except (ValueError, KeyError, TypeError) as error:
            expect(False, "entry", seq, "cannot be read:", repr(error))
        prev = digest(data)
    return entries


def versions(entries):
    return [e for e in entries if e[0]["type"] == "session.completed" and e[0]["details"]["version"]]


def quote(name):
    return re.sub("[\0-\x1f\x7f-\x9f\\\\%\u2028\u2029]", lambda c: "".join(f"%{b:02X}" for b in c[0].encode()), name)


# --- what is served: docs/formats/fingerprint.md; BLAKE3 as its paper of 2020 defines it, section 2

IV = [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19]
PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8


def words(data):
    return [int.from_bytes(data[at:at + 4], "little") for at in range(0, len(data), 4)]


def compress(value, block, counter, length, flags):
    """The compression function, cut to the eight words of a chaining value."""
    v, m = value + IV[:4] + [counter & 0xFFFFFFFF, counter >> 32, length, flags], block

    def quarter(a, b, c, d, x, y):
        for word, left, right in ((x, 16, 12), (y, 8, 7)):
            v[a] = (v[a] + v[b] + word) & 0xFFFFFFFF
            turned = v[d] ^ v[a]
            v[d] = (turned >> left | turned << 32 - left) & 0xFFFFFFFF
            v[c] = (v[c] + v[d]) & 0xFFFFFFFF
            turned = v[b] ^ v[c]
            v[b] = (turned >> right | turned << 32 - right) & 0xFFFFFFFF

    for _ in range(7):
        for at in range(4):
            quarter(at, 4 + at, 8 + at, 12 + at, m[2 * at], m[2 * at + 1])
        for at in range(4):
            quarter(at, 4 + (at + 1) % 4, 8 + (at + 2) % 4, 12 + (at + 3) % 4, m[8 + 2 * at], m[9 + 2 * at])
        m = [m[at] for at in PERMUTATION]
    return [v[at] ^ v[at + 8] for at in range(8)]


def blake3(data):
    """A stack of subtrees: each new chunk is merged with as many as end with it."""
    chunks, stack = [data[at:at + 1024] for at in range(0, len(data), 1024)] or [b""], []
    for number, chunk in enumerate(chunks, 1):
        value, blocks = IV, [chunk[at:at + 64] for at in range(0, len(chunk), 64)] or [b""]
        for at, block in enumerate(blocks):
            ends = CHUNK_END | ROOT * (len(chunks) == 1) if at == len(blocks) - 1 else 0
            flags = CHUNK_START * (at == 0) | ends
            value = compress(value, words(block.ljust(64, b"\0")), number - 1, len(block), flags)
        last = number == len(chunks)
        while stack and (last or number % 2 == 0):
            value = compress(IV, stack.pop() + value, 0, 64, PARENT | ROOT * (last and not stack))
            number //= 2
        stack.append(value)
    return b"".join(word.to_bytes(4, "little") for word in stack[0]).hex()


def served(case):
    """The lines of a directory, or none of a file, and the BLAKE3."""
    if case["kind"] == "file":
        return None, blake3(bytes(at % 251 for at in range(case["size_bytes"])))
    files = [(f["path"], bytes.fromhex(f["bytes_hex"])) for f in case["files"]]
    lines = "".join(f"{blake3(data)} {len(data)} {quote(path)}\n" for path, data in files)
    return lines, blake3(lines.encode())


# --- tables: docs/formats/fingerprint.md, "Table"; the values are as the `about` of table.json says


@lru_cache(maxsize=None)
def parse_kind(text):
    """A kind as (name, names of its fields, kinds of its parts): `list(int)` is ("list", (), (("int", (), ()),)).

    A map's only part is its entry, so it is hashed like a list of structs.
    """
    kind, rest = _parse_kind(text.encode())
    if rest:
        raise ValueError(f"{text} is not a kind")
    return kind


def _parse_kind(data):
    name, rest = re.fullmatch(rb"([a-z0-9]+)(.*)", data, re.DOTALL).groups()
    parts, names = [], []
    if name not in (b"list", b"map", b"struct"):
        return (name.decode(), (), ()), rest
    rest = rest.removeprefix(b"(")
    while not rest.startswith(b")"):
        rest = rest.removeprefix(b",")
        if name == b"struct":  # the length comes first, so the name may hold anything
            length, _, rest = rest.partition(b":")
            names.append(rest[:int(length)])
            rest = rest[int(length):].removeprefix(b":")
        part, rest = _parse_kind(rest)
        parts.append(part)
    if name == b"map":
        return ("map", (), (("struct", (b"key", b"value"), tuple(parts)),)), rest[1:]
    return (name.decode(), tuple(names), tuple(parts)), rest[1:]


ZEROS = {"null": 0, "bool": 1, "float32": 4, "decimal": 33, "timestamp": 12, "instant": 12, "duration": 12,
         "int": 8, "uint64": 8, "float64": 8, "date": 8, "time": 8}


def u32(number):
    return number.to_bytes(4, "little")


def u64(number):
    return number.to_bytes(8, "little")


def float_bytes(text, exponent_bits):
    """One NaN, one zero, and all else as it is."""
    bits, size = int(text, 16), 4 * len(text)
    infinity = (2**exponent_bits - 1) << (size - 1 - exponent_bits)
    magnitude = bits % 2 ** (size - 1)
    if magnitude > infinity:
        bits = infinity + (infinity & -infinity) // 2
    elif magnitude == 0:
        bits = 0
    return bits.to_bytes(size // 8, "little")


def decimal_bytes(unscaled, scale):
    zeros = len(unscaled) - len(unscaled.rstrip("0"))
    zeros = min(zeros, scale + 128)
    if int(unscaled) == 0:
        unscaled, scale = "0", 0
    elif zeros > 0:
        unscaled, scale = unscaled[:-zeros], scale - zeros
    return int(unscaled).to_bytes(32, "little", signed=True) + scale.to_bytes(1, "little", signed=True)


def value_bytes(name, value):
    """The bytes of a value that is not null, of a kind without parts."""
    if name == "string":
        return value.encode()
    if name == "binary":
        return bytes.fromhex(value)
    if name == "bool":
        return bytes([value])
    if name in ("int", "date", "time"):
        return int(value).to_bytes(8, "little", signed=True)
    if name == "uint64":
        return u64(int(value))
    if name in ("float32", "float64"):
        return float_bytes(value, 8 if name == "float32" else 11)
    if name == "decimal":
        return decimal_bytes(*value)
    second, nanosecond = map(int, value)
    return second.to_bytes(8, "little", signed=True) + u32(nanosecond)


def strips(kind, rows):
    return b"".join(strip(kind, rows[first:first + 1024]) for first in range(0, len(rows), 1024))


def strip(kind, rows):
    """values | lengths | validity | flag"""
    name, _, parts = kind
    lengths = []
    if name in ("list", "map"):
        values = strips(parts[0], [child for row in rows if row is not None for child in row])
        lengths = [len(row or ()) for row in rows]
    elif name == "struct":
        fields = ([row and row[at] for row in rows] for at in range(len(parts)))
        values = b"".join(map(strip, parts, fields))
    elif name in ("string", "binary"):
        cells = [b"" if row is None else value_bytes(name, row) for row in rows]
        values, lengths = b"".join(cells), map(len, cells)
    else:
        zero = bytes(ZEROS[name])
        values = b"".join(zero if row is None else value_bytes(name, row) for row in rows)
    data = values + b"".join(map(u32, lengths))
    if None not in rows:
        return data + b"\x00"
    validity = bytes(sum((row is not None) << bit for bit, row in enumerate(rows[first:first + 8]))
                     for first in range(0, len(rows), 8))
    return data + validity + b"\x01"


def leaf(kind_text, rows):
    data = strips(parse_kind(kind_text), rows)
    nulls = sum(row is None for row in rows)
    return sha256(b"\x00" + kind_text.encode() + b"\x00" + data + u32(len(rows)) + u32(nulls) + u64(len(data))).digest()


def cell(kind, value):
    if value is None:
        return b"\x00"
    name, _, parts = kind
    if name == "struct":
        return b"\x01" + b"".join(map(cell, parts, value))
    if name == "list":
        return b"\x01" + u32(len(value)) + b"".join(cell(parts[0], child) for child in value)
    if name == "map":  # an entry is a struct that is never null: it has no byte of its own
        return b"\x01" + u32(len(value)) + b"".join(cell(parts[0], entry)[1:] for entry in value)
    data = value_bytes(name, value)
    return b"\x01" + (u32(len(data)) if name in ("string", "binary") else b"") + data


def table_digests(columns, rows, unordered=True):
    """All digests of a table. `columns` are (name, text of the kind, values)."""
    leaves = [[leaf(kind, values[first:first + 65536]) for first in range(0, rows, 65536)] for _, kind, values in columns]
    sums = [sha256(b"\x01" + b"".join(column) + u64(rows)).digest() for column in leaves]
    heads = [u32(len(name.encode())) + name.encode() + kind.encode() + b"\x00" for name, kind, _ in columns]
    order = sorted(range(len(columns)), key=lambda at: (columns[at][0].encode(), columns[at][1].encode(), sums[at]))

    def content(order):
        entries = b"".join(heads[at] + sums[at] for at in order)
        return digest(b"lineage-table-1\x00" + u32(len(columns)) + u64(rows) + entries)

    found = {"content_sha256": content(range(len(columns))), "content_sorted_sha256": content(order),
             "columns_sha256": [column.hex() for column in sums],
             "leaves": [[leaf.hex() for leaf in column] for column in leaves]}
    if unordered:
        kinds = [parse_kind(kind) for _, kind, _ in columns]
        cells = (b"".join(map(cell, kinds, (values[row] for _, _, values in columns))) for row in range(rows))
        total = sum(int.from_bytes(sha256(b"lineage-row-1\x00" + row).digest(), "little") for row in cells)
        found["unordered_sha256"] = digest(b"lineage-rows-1\x00" + u32(len(columns)) + b"".join(heads) + u64(rows)
                                           + (total % 2**256).to_bytes(32, "little"))
    return found


def generate(kind, n, list_length=4):
    """The value that the generator of table.json makes of a number."""
    name, _, parts = kind
    if name == "list":
        within = range(n + 1, n + 1 + n % list_length)
        return [generate(parts[0], k) if k % 11 != 3 else None for k in within]
    if name == "struct":
        return [generate(part, k) if k % 5 else None for k, part in enumerate(parts, n + 1)]
    return {
        "bool": lambda: bool(n & 1),
        "int": lambda: str(n - 500000),
        "float64": lambda: float64_text(n / 8 - 60000),
        "decimal": lambda: (str(n - 500000), 2),
        "string": lambda: (f"s{n}" + "é" * (n % 3 == 0)) * (n % 7 != 0),
        "timestamp": lambda: (str(n * 1000 - 500000000), str(n * 991)),
    }[name]()


def float64_text(value):
    """The bits of a float64, by its sign, power and fraction: the layout of IEEE 754."""
    mantissa, _, power = abs(value).hex().partition("p")
    if value == 0:
        return "0" * 16
    bits = (int(power) + 1023) << 52 | int(mantissa[4:].ljust(13, "0") or "0", 16)
    return f"{bits | (value < 0) << 63:016x}"


def case_columns(case):
    """The columns of a case as (name, text of the kind, Arrow types, values)."""
    columns = []
    for column in case["columns"]:
        names = [column["name"] + str(at) for at in range(column["repeat"])] if "repeat" in column else [column["name"]]
        types = [column["arrow_type"], *column.get("also", ())]
        columns += [(name, column["kind"], types, column.get("values")) for name in names]
    if "generator" not in case:
        return columns
    nulls, list_length = case["generator"]["nulls"], case["generator"]["list_length"]

    def made(at, kind):
        numbers = ((7919 * row + 31 * row**2 + 104729 * at) % 1000003 for row in range(case["rows"]))
        return [None if nulls and (row + at) % 13 == 5 else generate(kind, n, list_length) for row, n in enumerate(numbers)]

    return [(name, kind, types, made(at, parse_kind(kind))) for at, (name, kind, types, _) in enumerate(columns)]


def check_tables(vectors):
    equal = {name: names[0] for names in vectors["equal"] for name in names}
    contents = {}
    for case in vectors["cases"]:
        name = case["name"]
        columns = [(column, kind, values) for column, kind, _, values in case_columns(case)]
        found = table_digests(columns, case["rows"])
        for key, value in found.items():
            expect(case.get(key, value) == value, "table", repr(name), "has another", key)
        first = contents.setdefault(found["content_sha256"], name)
        expect(first == equal.get(name, name), "tables", repr(first), "and", repr(name), "have one digest")
    return len(vectors["cases"])


def check_vectors(folder):
    for case in json.loads((folder / "canonical.json").read_text()):
        try:
            found = dump(parse(case["input"])).encode().decode()
        except ValueError:
            found = None
        expect(found == case.get("canonical") and (found is None) == case.get("refused", False), case, "gives", found)
    for case in json.loads((folder / "manifest.json").read_text()):
        lines = ["lineage-tree-1", *("exclude " + quote(glob) for glob in case["excludes"])]
        lines += [f"{f['sha256']} {f['size_bytes']} {quote(f['path'])}" for f in case["files"]]
        data = "".join(line + "\n" for line in lines)
        expect((data, digest(data.encode())) == (case["manifest_utf8"], case["sha256"]), "manifest of", case["about"])
        for names in (case["excludes"], [f["path"] for f in case["files"]]):
            expect(names == sorted(set(names), key=str.encode), "manifest of", case["about"], "is not sorted")
    for case in json.loads((folder / "served.json").read_text()):
        found = served(case)
        expect(found == (case.get("lines_utf8"), case["blake3"]), "what is served of", case["about"], "has", found[1])
        names = [f["path"] for f in case.get("files", [])]
        expect(names == sorted(set(names), key=str.encode), "what is served of", case["about"], "is not sorted")
    for case in json.loads((folder / "commitment.json").read_text()):
        text = dump(case["identity"])
        found = digest(bytes.fromhex(case["salt"]) + text.encode())
        expect((text, found) == (case["canonical"], case["commitment"]), "commitment to", text)
    for case in json.loads((folder / "reproducibility.json").read_text()):
        found = reproducibility(case["details"], case["environment"])
        expect(found == (case["document"], case["sha256"]), "reproducibility of", case["about"], "is", found)
    lines, digests = (folder / "log.ndjson").read_bytes().split(b"\n"), (folder / "log.sha256").read_text().split()
    expect(lines.pop() == b"" and len(lines) == len(digests), "log.ndjson and log.sha256 do not go together")
    entries = check_log(zip(lines, digests))
    made = [metadata(*entry) for entry in versions(entries)]
    expect((folder / "metadata.json").read_bytes() in made, "metadata.json is of no version in log.ndjson")
    tables = check_tables(json.loads((folder / "table.json").read_text()))
    return f"{len(entries)} entries, {tables} tables"


def check_registry(folder):
    if not (folder / "registry.db").exists():
        sys.exit(f"{folder} holds no registry.db")
    wal = folder / "registry.db-wal"  # without changes in it, a read-only place needs no locks
    mode = "mode=ro" if os.access(folder, os.W_OK) or wal.exists() and wal.stat().st_size else "immutable=1"
    database = sqlite3.connect(f"{(folder / 'registry.db').as_uri()}?{mode}", uri=True)
    rows = database.execute("SELECT seq, entry, sha256 FROM event ORDER BY seq").fetchall()
    expect(rows and [row[0] for row in rows] == list(range(len(rows))), "the log has gaps or is empty")
    entries = check_log(row[1:] for row in rows)
    introduced = [entry["details"] for entry, _ in entries if entry["type"] == "person.introduced"]
    people = {details["person"]: details["commitment"] for details in introduced}
    for person, salt, identity in database.execute("SELECT person, salt, identity FROM person_opening"):
        expect(digest(salt + identity.encode()) == people.get(person), person, "is not who was introduced")
    for entry, _ in entries:
        details, environment = entry["details"], None
        if details.get("reproducibility_sha256"):
            if details["environment"]:
                data = (folder / "objects" / details["environment"]["sha256"]).read_bytes()
                expect(digest(data) == details["environment"]["sha256"], "entry", entry["seq"], "lost its environment")
                environment = parse(data.decode())
            found = reproducibility(details, environment)[1]
            expect(found == details["reproducibility_sha256"], "entry", entry["seq"], "has another reproducibility digest")
    # Of several versions whose metadata.json shares a path, the newest is there.
    newest = {entry["details"]["version"]["metadata_path"]: (entry, sha) for entry, sha in versions(entries)}
    for path, (entry, sha) in newest.items():
        file = folder.parent / path
        if file.exists():
            expect(file.read_bytes() == metadata(entry, sha), path, "is not what entry", entry["seq"], "gives")
        else:
            print(f"note: {path} of {entry['subject']} is gone", file=sys.stderr)
    return f"{len(entries)} entries, {len(newest)} metadata files, {len(people)} people"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--registry"] and len(sys.argv) == 3:
        summary = check_registry(Path(sys.argv[2]).resolve())
    elif len(sys.argv) == 1:
        summary = check_vectors(Path(__file__).resolve().parent / "vectors")
    else:
        sys.exit(__doc__)
    print("\n".join(problems) if problems else f"all holds: {summary}")
    sys.exit(1 if problems else 0)
