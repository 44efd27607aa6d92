#!/usr/bin/env python3
"""Writes the golden vectors in testdata/vectors. Standard library only; no clock, no randomness.

    python3 testdata/make_vectors.py            writes the files
    python3 testdata/make_vectors.py --check    writes nothing; fails if a file is not as it would be

The formats are described in docs/formats. Released vectors never change; new ones are added.
"""

import hashlib
import json
import sys
import uuid
from decimal import Decimal
from pathlib import Path

from make_tables import table_json

FOLDER = Path(__file__).resolve().parent / "vectors"
WRITER = "lineage 0.1.0"
INTEGER_MAX = 2**53 - 1


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def fixed_bytes(name, length):
    """Bytes that stand where a registry has random ones."""
    return hashlib.sha256(b"lineage vectors/" + name.encode()).digest()[:length]


# --- canonical JSON -----------------------------------------------------------------------------


def number_text(value):
    """ECMAScript's Number::toString for a finite double that is not -0."""
    if value == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    digits = "".join(map(str, digits))
    exponent += len(digits) - len(digits.rstrip("0"))
    digits = digits.rstrip("0")
    count, point = len(digits), len(digits) + exponent
    if count <= point <= 21:
        text = digits + "0" * (point - count)
    elif 0 < point <= 21:
        text = digits[:point] + "." + digits[point:]
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        power = point - 1
        fraction = "." + digits[1:] if count > 1 else ""
        text = f"{digits[0]}{fraction}e{'+' if power > 0 else '-'}{abs(power)}"
    return ("-" if sign else "") + text


SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def string_text(text):
    text.encode()  # refuses lone surrogates
    out = (SHORT.get(c) or (f"\\u{ord(c):04x}" if c < " " else c) for c in text)
    return '"' + "".join(out) + '"'


def write(value, indent=None):
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return string_text(value)
    if isinstance(value, int):
        assert abs(value) <= INTEGER_MAX, value
        return str(value)
    if isinstance(value, float):
        assert value == value and abs(value) != float("inf") and str(value) != "-0.0", value
        return number_text(value)
    inner = None if indent is None else indent + 1
    if isinstance(value, list):
        opening, closing = "[", "]"
        parts = [write(item, inner) for item in value]
    else:
        opening, closing = "{", "}"
        colon = ":" if indent is None else ": "
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        parts = [string_text(key) + colon + write(value[key], inner) for key in keys]
    if indent is None or not parts:
        return opening + ",".join(parts) + closing
    line = "\n" + "  " * inner
    return opening + line + ("," + line).join(parts) + "\n" + "  " * indent + closing


def canonical(value):
    return write(value).encode()


def pretty(value):
    return (write(value, 0) + "\n").encode()


ACCEPTED = [
    ("layout is dropped", ' { "b" : [ 1 , true , null ] , "a" : { } } ', '{"a":{},"b":[1,true,null]}'),
    ("empty array and object", "[ [ ] , { } ]", "[[],{}]"),
    ("largest integer", "9007199254740991", "9007199254740991"),
    ("smallest integer", "-9007199254740991", "-9007199254740991"),
    ("2^53 is its double's own text", "9007199254740992", "9007199254740992"),
    ("-2^53 is its double's own text", "-9007199254740992", "-9007199254740992"),
    ("2^53+2 is its double's own text", "9007199254740994", "9007199254740994"),
    ("a fraction of zero is dropped", "1.0", "1"),
    ("trailing zeros are dropped", "4.50", "4.5"),
    ("zero", "0", "0"),
    ("zero with a fraction", "0.000", "0"),
    ("exponent in capitals", "1E30", "1e+30"),
    ("smallest double", "5e-324", "5e-324"),
    ("a longer text of the smallest double", "4.9406564584124654e-324", "5e-324"),
    ("largest double", "1.7976931348623157e308", "1.7976931348623157e+308"),
    ("smallest normal double", "2.2250738585072014e-308", "2.2250738585072014e-308"),
    ("last power of ten in digits", "1e20", "100000000000000000000"),
    ("first power of ten with an exponent", "1e21", "1e+21"),
    ("an integer literal beyond 64 bits that is its double's own text", "123456789012345680000", "123456789012345680000"),
    ("1e16", "1e16", "10000000000000000"),
    ("1e16 in digits", "10000000000000000", "10000000000000000"),
    ("last negative exponent in digits", "1e-6", "0.000001"),
    ("first negative exponent with an exponent", "1e-7", "1e-7"),
    ("nearest double", "333333333.33333329", "333333333.3333333"),
    ("not the nearest 16 digits, but the shortest text that reads back", "5.684341886080801486968994140625e-14", "5.684341886080802e-14"),
    ("negative fraction", "-0.5", "-0.5"),
    ("0.1 + 0.2", "0.30000000000000004", "0.30000000000000004"),
    ("escapes that need not be", '"\\u0041\\u00e9\\/\\u20ac"', '"A\u00e9/\u20ac"'),
    ("short escapes", '"\\u0008\\u0009\\u000a\\u000c\\u000d\\u0022\\u005c"', '"\\b\\t\\n\\f\\r\\"\\\\"'),
    ("other control characters", '"\\u0000\\u001F\\u000B"', '"\\u0000\\u001f\\u000b"'),
    ("DEL, C1 and U+2028 are written as they are", '"\\u007f\\u0085\\u2028"', '"\u007f\u0085\u2028"'),
    ("a surrogate pair is one character", '"\\ud83d\\ude00"', '"\U0001f600"'),
    ("no Unicode normalisation", '"e\\u0301\\u00e9"', '"e\u0301\u00e9"'),
    ("keys sort by UTF-16 code units", '{"\\ue000":1,"\\ud83d\\ude00":2}', '{"\U0001f600":2,"\ue000":1}'),
    ("keys sort by their characters, not by their escapes", '{"\\u20ac":1,"\\r":2,"\\ufb33":3,"1":4,"\\ud83d\\ude00":5,"\\u0080":6,"\\u00f6":7}',
     '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\U0001f600":5,"\ufb33":3}'),
    ("a shorter key comes first", '{"aa":1,"a":2,"":3,"A":4}', '{"":3,"A":4,"a":2,"aa":1}'),
    ("arrays keep their order", "[3,1,2]", "[3,1,2]"),
]

REFUSED = [
    ("2^53+1", "9007199254740993"),
    ("-(2^53+1)", "-9007199254740993"),
    ("largest signed 64-bit integer", "9223372036854775807"),
    ("largest unsigned 64-bit integer", "18446744073709551615"),
    ("negative zero", "-0"),
    ("negative zero with a fraction", "-0.0"),
    ("negative zero with an exponent", "-0e5"),
    ("beyond the largest double", "1e400"),
    ("not a number", "NaN"),
    ("infinity", "Infinity"),
    ("negative infinity", "-Infinity"),
    ("duplicate key", '{"a":1,"a":1}'),
    ("duplicate key behind an escape", '{"a":1,"\\u0061":2}'),
    ("duplicate key further in", '[{"a":{"b":1,"b":2}}]'),
    ("lone leading surrogate", '"\\ud800"'),
    ("lone trailing surrogate", '"\\udc00"'),
    ("leading surrogate before another character", '"\\ud800\\u0041"'),
    ("surrogates in the wrong order", '"\\ude00\\ud83d"'),
    ("lone surrogate in a key", '{"\\ud800":1}'),
    ("raw control character in a string", '"\u0001"'),
    ("raw line feed in a string", '"a\nb"'),
    ("leading zero", "01"),
    ("plus sign", "+1"),
    ("bare fraction", ".5"),
    ("bare point", "1."),
    ("trailing comma", "[1,]"),
    ("comment", "[1]//x"),
    ("two values", "[1] 2"),
    ("no value", ""),
    ("byte order mark", "\ufeff{}"),
]


def canonical_vectors():
    cases = [{"about": a, "input": i, "canonical": c} for a, i, c in ACCEPTED]
    return cases + [{"about": a, "input": i, "refused": True} for a, i in REFUSED]


# --- directory manifests ------------------------------------------------------------------------


def encode_name(name):
    def unsafe(character):
        point = ord(character)
        control = point < 0x20 or 0x7F <= point <= 0x9F
        return control or character in "\\%\u2028\u2029"

    return "".join(
        "".join(f"%{byte:02X}" for byte in c.encode()) if unsafe(c) else c for c in name
    )


def manifest_bytes(excludes, files):
    lines = ["lineage-tree-1"]
    lines += ["exclude " + encode_name(glob) for glob in excludes]
    lines += [f"{f['sha256']} {f['size_bytes']} {encode_name(f['path'])}" for f in files]
    return ("\n".join(lines) + "\n").encode()


def manifest_case(about, contents, excludes=()):
    files = [
        {"path": path, "sha256": sha256(data), "size_bytes": len(data)}
        for path, data in sorted(contents.items(), key=lambda item: item[0].encode())
    ]
    excludes = sorted(set(excludes), key=str.encode)
    data = manifest_bytes(excludes, files)
    return {
        "about": about,
        "excludes": excludes,
        "files": files,
        "manifest_utf8": data.decode(),
        "sha256": sha256(data),
    }


V2_FILES = {
    "model.json": b'{"trees":[1,2,3]}\n',
    "threshold.txt": b"0.35\n",
    "explain/shap.bin": bytes(range(64)),
}
MARCH_FILES = {"part-0.csv": b"amount,is_fraud\n10,0\n", "part-1.csv": b"amount,is_fraud\n99,1\n"}
AWKWARD = [
    "a b", " leading", "trailing ", "tab\there", "line\nfeed", "return\r", "null\0", "delete\x7f",
    "next\x85line", "c1\x9f", "line\u2028separator", "paragraph\u2029separator", "back\\slash",
    "percent%", "line%0Afeed", "line%250Afeed", "quote\"'", "exclude *.log", "lineage-tree-1",
    "\u00e9 composed", "e\u0301 decomposed", "\ue000", "\U0001f600", "no\u00a0break",
    "Upper", "lower", ".hidden", "a-b", "a.b", "a/b", "a0b", "deep/er/still",
]


def manifest_vectors():
    big = {"path": "weights.bin", "sha256": sha256(b"a very large file"), "size_bytes": 5_000_000_000_000}
    data = manifest_bytes([], [big])
    return [
        manifest_case("one file", {"model.bin": b"weights"}),
        manifest_case("an empty file", {"empty": b""}),
        manifest_case("several files and a folder", V2_FILES),
        manifest_case("two parts of a dataset, two exclusions", MARCH_FILES, ["*.tmp", "**/_SUCCESS"]),
        manifest_case("the same files without exclusions are another directory", MARCH_FILES),
        manifest_case("an exclusion that has to be encoded", {"a": b"1"}, ["x%y", "b\\[ar\\]", "\u00e9*"]),
        manifest_case("awkward names", {name: name.encode() for name in AWKWARD}),
        {"about": "a size beyond 32 bits", "excludes": [], "files": [big],
         "manifest_utf8": data.decode(), "sha256": sha256(data)},
    ]


# --- what is served -----------------------------------------------------------------------------


BLAKE3_KEY = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
BLAKE3_ORDER = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
BLAKE3_COLUMNS = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)]
BLAKE3_DIAGONALS = [(0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]


def blake3_compress(key, block, counter, size, flags):
    low = 2**32 - 1
    state = [*key, *BLAKE3_KEY[:4], counter & low, counter >> 32, size, flags]
    message = [int.from_bytes(block[4 * at:4 * at + 4].ljust(4, b"\0"), "little") for at in range(16)]
    for _ in range(7):
        for (a, b, c, d), x, y in zip(BLAKE3_COLUMNS + BLAKE3_DIAGONALS, message[::2], message[1::2]):
            for word, turns in ((x, (16, 12)), (y, (8, 7))):
                state[a] = state[a] + state[b] + word & low
                mixed = state[d] ^ state[a]
                state[d] = (mixed << 32 | mixed) >> turns[0] & low
                state[c] = state[c] + state[d] & low
                mixed = state[b] ^ state[c]
                state[b] = (mixed << 32 | mixed) >> turns[1] & low
        message = [message[at] for at in BLAKE3_ORDER]
    return tuple(one ^ other for one, other in zip(state[:8], state[8:]))


def blake3_words(words):
    return b"".join(word.to_bytes(4, "little") for word in words)


def blake3_tree(data, chunk=0, root=8):
    """Left of a node lies the greatest power of two of chunks that leaves something for its right."""
    if len(data) > 1024:
        left = 1024
        while 2 * left < len(data):
            left *= 2
        children = blake3_tree(data[:left], chunk, 0) + blake3_tree(data[left:], chunk + left // 1024, 0)
        return blake3_compress(BLAKE3_KEY, blake3_words(children), 0, 64, 4 | root)
    words, last = BLAKE3_KEY, max(0, len(data) - 1) // 64
    for at in range(last + 1):
        block = data[64 * at:64 * at + 64]
        flags = (at == 0) | (2 | root if at == last else 0)
        words = blake3_compress(words, block, chunk, len(block), flags)
    return words


def blake3(data):
    return blake3_words(blake3_tree(data)).hex()


def served_file(size):
    """A file whose bytes count from 0 to 250 again and again, as in BLAKE3's own test vectors."""
    data = bytes(at % 251 for at in range(size))
    return {"about": f"a file of {size} bytes", "kind": "file", "size_bytes": size, "blake3": blake3(data)}


def served_lines(files):
    return "".join(f"{blake3(data)} {len(data)} {encode_name(path)}\n" for path, data in by_path(files)).encode()


def by_path(files):
    return sorted(files.items(), key=lambda file: file[0].encode())


def served_directory(about, files):
    lines = served_lines(files)
    listed = [{"path": path, "bytes_hex": data.hex()} for path, data in by_path(files)]
    return {"about": about, "kind": "directory", "files": listed, "lines_utf8": lines.decode(), "blake3": blake3(lines)}


SERVED_SIZES = [0, 1, 63, 64, 65, 1023, 1024, 1025, 2048, 2049, 3073, 4096, 4097, 5121, 8192, 8193, 16385]


def served_vectors():
    return [*map(served_file, SERVED_SIZES),
            served_directory("one file", {"model.bin": b"weights"}),
            served_directory("an empty file", {"empty": b""}),
            served_directory("several files and a folder", V2_FILES),
            served_directory("awkward names", {name: name.encode() for name in AWKWARD})]


# --- people -------------------------------------------------------------------------------------


def person(name, identity):
    salt = fixed_bytes(f"salt/{name}", 32)
    text = canonical(identity)
    return {
        "salt": salt.hex(),
        "identity": identity,
        "canonical": text.decode(),
        "commitment": sha256(salt + text),
    }


PEOPLE = {
    "ada": {"name": "Ada Lovelace", "mail": "ada@example.org"},
    "bot": {"name": "training-bot"},
    "mail": {"mail": "risk@example.org"},
    "login": {"os_user": "ml"},
    "name": {"name": "Zo\u00eb \u201cZ\u201d \U0001f600\n"},
}


# --- the log ------------------------------------------------------------------------------------

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid(number):
    return "".join(CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def person_id(name):
    return "p-" + ulid(int.from_bytes(fixed_bytes(f"person/{name}", 16), "big")).lower()


def session_id(name, unix_us):
    random = int.from_bytes(fixed_bytes(f"session/{name}", 10), "big")
    return ulid(unix_us // 1000 << 80 | random)


DAY = 1_772_409_600_000_000  # 2026-03-02T00:00:00Z


def at(hour, minute, second, microsecond=0):
    return DAY + ((hour * 60 + minute) * 60 + second) * 1_000_000 + microsecond


def time_text(unix_us):
    rest = unix_us - DAY
    assert 0 <= rest < 86_400_000_000
    seconds, microsecond = divmod(rest, 1_000_000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"2026-03-02T{hour:02}:{minute:02}:{second:02}.{microsecond:06}Z"


TYPES = {
    "registry.created": ("registry", "LOW", ["record-keeping"]),
    "person.introduced": ("people", "LOW", ["personal-data", "record-keeping"]),
    "session.started": ("training", "LOW", ["data-provenance", "record-keeping"]),
    "session.updated": ("training", "LOW", ["data-provenance", "record-keeping"]),
    "session.failed": ("training", "LOW", ["data-provenance", "record-keeping"]),
    "session.completed": ("training", "LOW", ["data-provenance", "record-keeping"]),
    "pointer.moved": ("release", "HIGH", ["change-management"]),
    "pointer.adopted": ("release", "HIGH", ["change-management"]),
    "pointer.unset": ("release", "HIGH", ["change-management"]),
    "pointer.refused": ("release", "MEDIUM", ["change-management"]),
}


class Log:
    def __init__(self):
        self.registry = str(uuid.UUID(bytes=fixed_bytes("registry", 16), version=4))
        self.lines, self.entries, self.last = [], [], None

    def append(self, kind, action, actor, unix_us, subject, details, session=None):
        component, risk_impact, tags = TYPES[kind]
        if self.last is not None and self.last > unix_us:
            details = {**details, "clock_behind_us": self.last - unix_us}
        entry = {
            "v": 1,
            "writer": WRITER,
            "seq": len(self.lines),
            "time": time_text(unix_us),
            "registry": self.registry,
            "type": kind,
            "details_v": 1,
            "component": component,
            "action": action,
            "actor": {"id": person_id(actor[0]), "source": actor[1]},
            "session": session,
            "subject": subject,
            "details": details,
            "risk_impact": risk_impact,
            "compliance_tags": tags,
            "prev": sha256(self.lines[-1]) if self.lines else "0" * 64,
        }
        self.last = unix_us
        self.entries.append(entry)
        self.lines.append(canonical(entry))
        return entry

    def introduce(self, name, source, unix_us):
        details = {
            "person": person_id(name),
            "commitment": person(name, PEOPLE[name])["commitment"],
        }
        self.append("person.introduced", "introduce", (name, source), unix_us, person_id(name), details)


def request_sha256(details):
    """What makes two requests the same, as docs/formats/registry-events.md says."""
    version = details["version"]
    document = {
        "model": details["model"],
        "label": version and version["label"],
        "artifact": version and {"kind": version["kind"], "sha256": version["sha256"]},
        "datasets": [{key: d[key] for key in ("role", "name", "sha256")} for d in details["datasets"]],
        "params": details["params"],
        "metrics": details["metrics"],
        "seed": details["seed"],
        "features": details["features"],
        "target": details["target"],
    }
    return sha256(canonical(document))


def session(model, version, **given):
    details = {
        "model": model,
        "version": version,
        "model_type": None,
        "datasets": [],
        "params": [],
        "metrics": [],
        "seed": None,
        "features": [],
        "target": [],
        "derived_from": [],
        "tags": [],
        "note": None,
        "environment": None,
        "started": None,
        "idempotency_key": None,
        **given,
    }
    return {**details, "request_sha256": request_sha256(details)}


def dataset(role, path, data, **given):
    return {
        "role": role,
        "name": path.rsplit("/", 1)[-1],
        "path": path,
        "kind": "file",
        "sha256": sha256(data),
        "size_bytes": len(data),
        "hashed": "bytes",
        "table": None,
        "transformations": [],
        "source": None,
        "row_range": None,
        "exclude": [],
        **given,
    }


def csv_table(data):
    lines = data.decode().splitlines()
    names = lines[0].split(",")
    return {
        "format": "csv",
        "rows": len(lines) - 1,
        "columns": {"count": len(names), "names": names, "payload": None},
        "content_sha256": None,
        "schema": None,
    }


def metric(split, name, value):
    return {"split": split, "name": name, "value": value}


def parameter(name, text, kind):
    return {"name": name, "text": text, "type": kind}


TRAIN = b"amount,country,hour,is_fraud\n12.5,CH,9,0\n830,RO,3,1\n41,DE,17,0\n"
VALID = b"amount,country,hour,is_fraud\n77,CH,22,0\n1200,RO,4,1\n"
V1 = b'{"trees":[1,2]}\n'


def golden_log():
    log = Log()
    ada, bot = ("ada", "git"), ("bot", "env")
    log.append("registry.created", "create", ada, at(9, 0, 0), None, {"log_schema": 1})
    log.introduce("ada", "git", at(9, 0, 0, 412))

    first = {
        "number": 1,
        "label": "1.0.0",
        "path": "models/fraud_v1.json",
        "kind": "file",
        "sha256": sha256(V1),
        "size_bytes": len(V1),
        "files": 1,
        "largest_file_path": "",
        "largest_file_sha256": sha256(V1),
        "stored": True,
        "metadata_path": "models/metadata.json",
        "allowed_stand_in": False,
    }
    details = session(
        "fraud",
        first,
        model_type="xgboost",
        datasets=[
            dataset("training", "data/train.csv", TRAIN, table=csv_table(TRAIN),
                    transformations=["rows without a country dropped", "amount in EUR"],
                    source="s3://risk/fraud/2026-02/train.csv", row_range={"first": 0, "last": 2}),
            dataset("validation", "data/valid.csv", VALID, table=csv_table(VALID)),
        ],
        params=[
            parameter("booster.grid", '[0.1,0.3]', "json"),
            parameter("early_stopping", "true", "bool"),
            parameter("learning_rate", "0.1", "float"),
            parameter("max_depth", "6", "int"),
            parameter("monotone", "null", "null"),
            parameter("objective", "binary:logistic", "string"),
        ],
        metrics=[
            metric(None, "drift", "-0"),
            metric(None, "loss", "NaN"),
            metric(None, "worst_case", "-Infinity"),
            metric("training", "auc", 1),
            metric("training", "lift", "Infinity"),
            metric("validation", "auc", 0.9137000000000001),
            metric("validation", "cost", 1e21),
            metric("test", "p_value", 5e-324),
        ],
        seed="18446744073709551615",
        features=["amount", "country", "hour"],
        target=["is_fraud"],
        tags=[{"name": "ticket", "value": "RISK-112"}],
        note="first model with the country feature",
        started=time_text(at(9, 31, 4)),
        idempotency_key="nightly-2026-03-02",
    )
    v1 = log.append("session.completed", "complete", ada, at(9, 40, 11, 250_000), "fraud@1", details,
                    session_id("1", at(9, 40, 11, 250_000)))

    def moved(pointer, action, origin, to, served, **given):
        return {
            "model": "fraud",
            "pointer": pointer,
            "action": action,
            "from": origin,
            "to": to,
            "popped": 0,
            "pushed": True,
            "passed_over": [],
            "quarantined": False,
            "served": served,
            "reason": None,
            "expected": None,
            "overwrote": None,
            "post_review": False,
            **given,
        }

    served_v1 = {"path": "models/fraud_v1.json", "from": "recorded", "kind": "file", "sha256": sha256(V1)}
    log.append("pointer.moved", "promote", ada, at(9, 45, 0), "fraud@prod",
               moved("prod", "promote", None, 1, served_v1, reason="first release"))

    log.introduce("bot", "env", at(12, 0, 0))
    details = session("fraud", None, params=[parameter("max_depth", "8", "int")],
                      metrics=[metric("validation", "auc", 0.88)], seed="7")
    log.append("session.completed", "complete", bot, at(12, 0, 0, 900), "fraud", details,
               session_id("2", at(12, 0, 0, 900)))

    tree, march = manifest_vectors()[2], manifest_vectors()[3]
    second = {
        "number": 2,
        "label": None,
        "path": "models/fraud_v2",
        "kind": "directory",
        "sha256": tree["sha256"],
        "size_bytes": sum(map(len, V2_FILES.values())),
        "files": len(V2_FILES),
        "largest_file_path": "explain/shap.bin",
        "largest_file_sha256": sha256(V2_FILES["explain/shap.bin"]),
        "stored": True,
        "metadata_path": "models/fraud_v2/metadata.json",
        "allowed_stand_in": False,
    }
    details = session(
        "fraud",
        second,
        datasets=[dataset("training", "data/march", b"", kind="directory", sha256=march["sha256"],
                          size_bytes=sum(map(len, MARCH_FILES.values())), exclude=march["excludes"])],
        metrics=[metric("validation", "auc", 0.94)],
        derived_from=[{"model": "fraud", "version": 1, "sha256": sha256(V1)}],
    )
    # The clock went back by 1.5 s.
    log.append("session.completed", "complete", bot, at(11, 59, 58, 500_900), "fraud@2", details,
               session_id("3", at(11, 59, 58, 500_900)))
    served_v2 = {"path": "models/fraud_v2", "from": "recorded", "kind": "directory", "sha256": tree["sha256"]}
    log.append("pointer.moved", "promote", bot, at(12, 5, 0), "fraud@prod",
               moved("prod", "promote", 1, 2, served_v2, expected=1, reason="weekly release"))
    log.append("pointer.moved", "rollback", ada, at(13, 30, 0), "fraud@prod",
               moved("prod", "rollback", 2, 1, served_v1, popped=1, pushed=False, quarantined=True,
                     reason="declines rose to 9 %", expected=2))
    log.append("pointer.refused", "refuse", bot, at(14, 0, 0), "fraud@prod", {
        "model": "fraud",
        "pointer": "prod",
        "attempted": "promote",
        "from": 1,
        "to": 2,
        "code": 3,
        "cause": "quarantined",
        "reason": None,
    })
    # A session that is told a few things and fails.
    ulid = "01KJNP80MVN06TRRS7M4VNAZ6R"
    log.append("session.started", "start", bot, at(14, 30, 0), "fraud", {
        "model": "fraud",
        "params": [{"name": "depth", "text": "6", "type": "int"}],
    }, session=ulid)
    log.append("session.updated", "update", bot, at(14, 31, 0), "fraud", {
        "model": "fraud",
        "metrics": [{"split": "validation", "name": "auc", "value": 0.5}],
        "points": [{"split": None, "name": "loss", "step": 1, "time": time_text(at(14, 31, 0)), "value": "NaN"}],
    }, session=ulid)
    log.append("session.failed", "fail", bot, at(14, 32, 0), "fraud", {
        "model": "fraud",
        "reason": "the program ended with exit status 7",
        "run": {"exit_status": 7, "duration_us": 120_000_000, "cpu_us": 118_000_000, "peak_memory_bytes": None},
    }, session=ulid)
    written = b"models\\fraud_v2\r\n"
    log.append("pointer.adopted", "adopt", ada, at(15, 0, 0), "fraud@staging", {
        "model": "fraud",
        "pointer": "staging",
        "from": None,
        "to": 2,
        "served": served_v2,
        "external": {"path": "models/STAGING_POINTER.txt", "sha256": sha256(written), "text": written.decode()},
        "reason": "set by hand on the old server",
    })
    log.append("pointer.unset", "unset", ada, at(15, 10, 0), "fraud@staging",
               {"model": "fraud", "pointer": "staging", "from": 2, "reason": None})
    edited = b"models/fraud_v2\n"
    checkout = {**served_v2, "path": f".lineage/checkouts/{tree['sha256']}/fraud_v2", "from": "checkout"}
    log.append("pointer.moved", "promote", ada, at(16, 0, 0), "fraud@prod",
               moved("prod", "promote", 1, 2, checkout, reason="cause found in the feature service",
                     overwrote={"path": "models/PROD_POINTER.txt", "sha256": sha256(edited),
                                "text": edited.decode()}))
    # Entries from here on are of a version that takes BLAKE3 of what is served.
    log.append("pointer.moved", "promote", ada, at(17, 0, 0), "fraud@canary",
               moved("canary", "promote", None, 1, {**served_v1, "blake3": blake3(V1)}))
    log.append("pointer.moved", "promote", ada, at(17, 5, 0), "fraud@canary",
               moved("canary", "promote", 1, 2, {**served_v2, "blake3": blake3(served_lines(V2_FILES))}))
    log.append("pointer.moved", "rollback", ada, at(17, 10, 0), "fraud@canary",
               moved("canary", "rollback", 2, 1, {**served_v1, "blake3": blake3(V1)}, popped=1, pushed=False,
                     reason="only a rehearsal"))
    return log, v1


def metadata(entry):
    details = dict(entry["details"])
    version = details.pop("version")
    for internal in ("request_sha256", "idempotency_key", "clock_behind_us"):
        details.pop(internal, None)
    outer = ("number", "label", "metadata_path")
    return pretty({
        **details,
        "schema": "lineage.metadata/1",
        "version": version["number"],
        "label": version["label"],
        "artifact": {key: value for key, value in version.items() if key not in outer},
        "session": entry["session"],
        "created": entry["time"],
        "actor": entry["actor"],
        "lineage": {
            "registry": entry["registry"],
            "seq": entry["seq"],
            "entry_sha256": sha256(canonical(entry)),
            "writer": entry["writer"],
        },
    })


PACKAGES = [{"name": "numpy", "version": "2.1.0"}, {"name": "scikit-learn", "version": "1.5.1"}]


def environment(**given):
    absent = {"unavailable": "it was not looked at"}
    parts = "host system cpu memory_bytes gpus git python conda r command".split()
    return {"schema": "lineage.environment/1", "container": None, "locks": [], **dict.fromkeys(parts, absent), **given}


def reproducibility(details, env):
    """The document, as docs/formats/reproducibility.md says."""
    data, sources = [], []
    for d in details["datasets"]:
        key, table = {"role": d["role"], "name": d["name"]}, d["table"]
        content = table and table["content_sha256"]
        what = {"content_sha256": content} if content else {"kind": d["kind"], "sha256": d["sha256"]}
        data.append({**key, **what, "row_range": d["row_range"]})
        if table:
            schema = table["schema"] or {"kind": "file", "sha256": None}
            sources.append({**key, "kind": schema["kind"], "sha256": schema["sha256"]})
    known = bool(data) and all(d.get("changed_to_sha256") is None for d in details["datasets"])
    code = details.get("code")
    if code and code["dirty"] and code["diff_sha256"] is None:
        code = None
    python, r = (env or {}).get("python", {}), (env or {}).get("r", {})
    ran = python if "version" in python else {"implementation": "R", **r} if "version" in r else None
    params = [{"name": p["name"], "text": p["text"]} for p in details["params"] if p["text"] != "[removed]"]
    return {
        "schema": "lineage.reproducibility/1",
        "params": params or None,
        "data": data if known else None,
        "schema_sources": sources if known else None,
        "seed": details["seed"],
        "features": details["features"] or None,
        "target": details["target"] or None,
        "code": code and {"commit": code["commit"], "diff_sha256": code["diff_sha256"]},
        "interpreter": ran and {"implementation": ran["implementation"], "version": ran["version"]},
        "packages": ran and ran["packages"],
    }


def reproducibility_vectors():
    commit = "5f" * 20
    clean = {"commit": commit, "branch": "main", "dirty": False, "diff_sha256": None, "patch": None}
    dirty = {**clean, "branch": None, "dirty": True, "diff_sha256": sha256(b"lineage-diff-1\n000000 - train.py\n")}
    python = {"implementation": "CPython", "version": "3.12.4", "packages": PACKAGES}
    content = {**csv_table(TRAIN), "content_sha256": sha256(b"rows")}
    declared = {"kind": "declared", "sha256": sha256(b"schema"), "given": "schema.json"}
    table = dataset("training", "data/train.csv", TRAIN, table={**content, "schema": declared})
    plain = dataset("validation", "data/valid.bin", VALID, row_range={"first": 0, "last": 1})
    columnar = dataset("training", "train.parquet", b"PAR1", table={**content, "format": "parquet"})
    params = [parameter("api_key", "[removed]", "string"), parameter("rate", "0.10", "float"),
              parameter("\u00fcber", "\u20ac", "string")]
    full = {"datasets": [table, plain], "params": params, "seed": "42", "features": ["b", "a"], "target": ["y"]}
    cases = [
        ("all parts", full | {"code": clean}, environment(python=python)),
        ("changes that are not in the commit", full | {"code": dirty}, environment(python=python)),
        ("neither environment nor settings", {"datasets": [plain], "code": clean}, None),
        ("R", {"datasets": [columnar], "code": clean}, environment(r={"version": "4.4.1", "packages": PACKAGES[:1]})),
        ("nothing but removed secrets", {"datasets": [plain], "params": params[:1], "code": clean}, environment()),
        ("no data", {"code": clean, "seed": "1"}, None),
        ("no code", full, environment(python=python)),
        ("changes without a digest", full | {"code": {**dirty, "diff_sha256": None}}, None),
        ("data that changed", {"datasets": [{**plain, "changed_to_sha256": sha256(b"")}], "code": clean}, None),
    ]
    vectors = []
    for about, given, env in cases:
        details = session("fraud", None, **given)
        document = reproducibility(details, env)
        known = document["data"] is not None and document["code"] is not None
        digest = sha256(canonical(document)) if known else None
        vectors.append({"about": about, "details": details, "environment": env, "document": document, "sha256": digest})
    return vectors


def files():
    """Every file by name, as bytes."""

    def listing(value):
        return (json.dumps(value, indent=1, ensure_ascii=True) + "\n").encode()

    log, v1 = golden_log()
    return {
        "canonical.json": listing(canonical_vectors()),
        "manifest.json": listing(manifest_vectors()),
        "commitment.json": listing([person(name, identity) for name, identity in PEOPLE.items()]),
        "log.ndjson": b"".join(line + b"\n" for line in log.lines),
        "log.sha256": "".join(sha256(line) + "\n" for line in log.lines).encode(),
        "metadata.json": metadata(v1),
        "served.json": listing(served_vectors()),
        "reproducibility.json": listing(reproducibility_vectors()),
        "table.json": table_json(),
    }


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    stale = []
    for name, data in files().items():
        path = FOLDER / name
        if check:
            if not path.exists() or path.read_bytes() != data:
                stale.append(name)
        else:
            FOLDER.mkdir(exist_ok=True)
            path.write_bytes(data)
    if stale:
        sys.exit("not as make_vectors.py writes them: " + ", ".join(stale))
    print("checked" if check else f"written to {FOLDER}")


if __name__ == "__main__":
    main()
