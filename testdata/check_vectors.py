#!/usr/bin/env python3
"""Checks the golden vectors, or a registry, without lineage. Standard library only.

    python3 testdata/check_vectors.py                           the vectors beside this file
    python3 testdata/check_vectors.py --registry DIR/.lineage   the log of a registry, read-only

It shares no code with lineage or make_vectors.py; docs/formats says what it checks. Exit 0: all
holds; exit 1: each line on standard output is one thing that does not.
"""
import json, os, re, sqlite3, sys
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
    for case in json.loads((folder / "commitment.json").read_text()):
        text = dump(case["identity"])
        found = digest(bytes.fromhex(case["salt"]) + text.encode())
        expect((text, found) == (case["canonical"], case["commitment"]), "commitment to", text)
    lines, digests = (folder / "log.ndjson").read_bytes().split(b"\n"), (folder / "log.sha256").read_text().split()
    expect(lines.pop() == b"" and len(lines) == len(digests), "log.ndjson and log.sha256 do not go together")
    entries = check_log(zip(lines, digests))
    made = [metadata(*entry) for entry in versions(entries)]
    expect((folder / "metadata.json").read_bytes() in made, "metadata.json is of no version in log.ndjson")
    return f"{len(entries)} entries"


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
