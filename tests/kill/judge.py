#!/usr/bin/env python3
"""Judges a registry from SQL and files alone: is the log whole, are the tables its fold, do pointer
files, metadata.json and stored bytes say what the log says? Never calls lineage.

    judge.py PROJECT                 after a command: everything must be in place
    judge.py PROJECT --interrupted   right after a kill: files may be owed, never wrong or half

Prints one violation a line and exits with 1 if there is any.
"""

import argparse
import hashlib
import json
import shutil
import sqlite3
import sys
import tempfile
import tomllib
from collections import Counter
from pathlib import Path


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Fold:
    """The tables as they follow from the entries, made without lineage's own code."""

    def __init__(self):
        self.rows = {name: [] for name in COLUMNS if name not in ("pointer", "quarantine", "held")}
        self.pointers = {}  # (model, pointer) -> row
        self.stacks = {}  # (model, pointer) -> [(version or None, seq)]
        self.quarantine = {}  # (model, pointer, version) -> seq
        self.held = {}  # (model, pointer, version) -> seq
        self.versions = {}  # (model, number) -> entry
        self.served = {}  # (model, pointer) -> [served path or None], oldest first
        self.problems = []

    def apply(self, entry, violation):
        seq, details, kind = entry["seq"], entry["details"], entry["type"]
        if kind == "person.introduced":
            self.rows["person"].append((details["person"], details["commitment"], seq))
        elif kind == "session.completed":
            self.session(entry, details, violation)
        elif kind.startswith("pointer."):
            self.pointer(entry, details, kind.removeprefix("pointer."), violation)
        elif kind != "registry.created":
            violation(f"entry {seq} is of unknown type {kind}")

    def session(self, entry, details, violation):
        seq, model, session = entry["seq"], details["model"], entry["session"]
        version, person = details["version"], entry["actor"]["id"]
        if all(row[0] != model for row in self.rows["model"]):
            self.rows["model"].append((model, seq))
        self.rows["session"].append((
            session, model, version and version["number"], seq, entry["time"], person,
            details["request_sha256"], details["idempotency_key"]))
        if version:
            newest = max((n for m, n in self.versions if m == model), default=0)
            if version["number"] != newest + 1:
                violation(f"{model}@{version['number']} follows {model}@{newest}")
            self.versions[model, version["number"]] = entry
            self.rows["version"].append((
                model, version["number"], version["label"], session, version["path"],
                version["kind"], version["sha256"], version["size_bytes"], version["files"],
                int(version["stored"]), seq, entry["time"]))
        for use in details["datasets"]:
            self.rows["dataset_use"].append((
                session, use["role"], use["name"], use["path"], use["kind"], use["sha256"],
                use["size_bytes"]))
        for metric in details["metrics"]:
            value = metric["value"]
            number, special = (None, value) if isinstance(value, str) else (float(value), None)
            self.rows["metric"].append(
                (session, metric["split"] or "", metric["name"], number, special))
        for param in details["params"]:
            self.rows["parameter"].append((session, param["name"], param["text"], param["type"]))
        for tag in details["tags"]:
            self.rows["tag"].append((session, tag["name"], tag["value"]))

    def pointer(self, entry, details, kind, violation):
        seq, key, person = entry["seq"], (details["model"], details["pointer"]), entry["actor"]["id"]
        stack = self.stacks.setdefault(key, [])
        live = stack[-1][0] if stack else None
        action = {"moved": details.get("action"), "adopted": "adopt", "unset": "unset",
                  "refused": "refuse"}[kind]
        reason = details["cause"] if kind == "refused" else details["reason"]
        self.rows["pointer_history"].append((
            seq, *key, action, details["from"], details.get("to"), reason, entry["time"], person))
        if details["from"] != live:
            violation(f"entry {seq} moves {key} from {details['from']}, which was at {live}")
        if kind == "refused":
            return
        to = details.get("to")
        if kind == "moved":
            del stack[len(stack) - details["popped"]:]
            if details["pushed"]:
                stack.append((to, seq))
            if details["quarantined"] and details["from"] is not None:
                self.quarantine[*key, details["from"]] = seq
            self.quarantine.pop((*key, to), None)
        else:
            stack.append((to, seq))
        if not stack or stack[-1][0] != to:
            violation(f"entry {seq}: the stack of {key} does not end in {to}")
        if to is not None:
            self.held.setdefault((*key, to), seq)
            if (key[0], to) not in self.versions:
                violation(f"entry {seq} names {key[0]}@{to}, which was never recorded")
        served = details.get("served")
        if served and served["sha256"] != self.versions[key[0], to]["details"]["version"]["sha256"]:
            violation(f"entry {seq} serves bytes that are not those of the version")
        self.served.setdefault(key, [None]).append(served and served["path"])
        self.pointers[key] = (
            *key, to, served and served["path"], served and served["from"], seq, entry["time"],
            person, details["from"] if action == "rollback" else None)

    def table(self, name):
        if name == "pointer":
            return list(self.pointers.values())
        if name == "holding":
            return [(*key, position, *holding) for key, stack in self.stacks.items()
                    for position, holding in enumerate(stack)]
        if name in ("quarantine", "held"):
            return [(*key, seq) for key, seq in getattr(self, name).items()]
        return self.rows[name]

    def rollback_target(self, model, pointer):
        """Where a rollback leads: down the stack to another version that is not quarantined."""
        stack = [version for version, _ in self.stacks.get((model, pointer), [])]
        for version in reversed(stack[:-1]):
            if version not in (None, stack[-1]) and (model, pointer, version) not in self.quarantine:
                return version
        return None


COLUMNS = {
    "person": "person, commitment, seq",
    "model": "name, created_seq",
    "session": "session, model, version, completed_seq, completed, person, request_sha256, "
               "idempotency_key",
    "version": "model, number, label, session, path, kind, sha256, size_bytes, files, stored, seq, "
               "created",
    "dataset_use": "session, role, name, path, kind, sha256, size_bytes",
    "metric": "session, split, name, value, special",
    "parameter": "session, name, text, type",
    "tag": "session, name, value",
    "pointer": "model, pointer, version, served_path, served_from, seq, since, person, "
               "rolled_back_from",
    "holding": "model, pointer, position, version, seq",
    "held": "model, pointer, version, first_seq",
    "quarantine": "model, pointer, version, seq",
    "pointer_history": "seq, model, pointer, action, from_version, to_version, reason, time, person",
}


class Judgement:
    def __init__(self, root: Path, interrupted: bool):
        self.root, self.interrupted = root, interrupted
        self.violations = []
        self.fold, self.digests = Fold(), []
        self.registry = root / ".lineage"
        # On a copy without the shared memory, so that judging recovers nothing for lineage.
        with tempfile.TemporaryDirectory() as folder:
            for name in ("registry.db", "registry.db-wal"):
                if (self.registry / name).exists():
                    shutil.copyfile(self.registry / name, Path(folder) / name)
            database = sqlite3.connect(Path(folder) / "registry.db")
            try:
                self.log(database)
                self.tables(database)
            except sqlite3.Error as error:
                self.violation(f"the database cannot be read: {error}")
            finally:
                database.close()
        self.objects()
        self.pointer_files()
        self.metadata_files()
        if not interrupted:
            self.temporaries()

    def violation(self, text):
        self.violations.append(text)

    def log(self, database):
        for (problem,) in database.execute("PRAGMA integrity_check"):
            if problem != "ok":
                self.violation(f"SQLite: {problem}")
        for row in database.execute("PRAGMA foreign_key_check"):
            self.violation(f"SQLite: a foreign key of {row[0]} leads nowhere")
        previous, registry = "0" * 64, None
        rows = database.execute("SELECT seq, entry, sha256 FROM event ORDER BY seq")
        for expected, (seq, data, digest) in enumerate(rows):
            entry = json.loads(data)
            registry = registry or entry["registry"]
            # Enough of RFC 8785 for entries without fractions in exponent notation.
            canonical = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            if (seq, entry["seq"]) != (expected, expected):
                self.violation(f"event {expected} has the number {seq}, its entry {entry['seq']}")
            if sha256(data) != digest:
                self.violation(f"entry {seq} does not have the digest in its row")
            if entry["prev"] != previous:
                self.violation(f"entry {seq} is not chained to the one before")
            if canonical.encode() != data:
                self.violation(f"entry {seq} is not in canonical form")
            if entry["registry"] != registry:
                self.violation(f"entry {seq} belongs to another registry")
            previous = digest
            self.digests.append(digest)
            self.fold.apply(entry, self.violation)
        if not self.digests:
            self.violation("the log is empty")

    @property
    def head(self):
        return len(self.digests) - 1

    def tables(self, database):
        for name, columns in COLUMNS.items():
            found = Counter(database.execute(f"SELECT {columns} FROM {name}"))
            expected = Counter(self.fold.table(name))
            for row in (expected - found).keys():
                self.violation(f"{name} lacks {row}")
            for row in (found - expected).keys():
                self.violation(f"{name} has {row}, which follows from no entry")

    def objects(self):
        folder = self.registry / "objects"
        for path in folder.iterdir():
            if sha256(path.read_bytes()) != path.name:
                self.violation(f"object {path.name} holds other bytes")
        for (model, number), entry in self.fold.versions.items():
            version = entry["details"]["version"]
            wanted = [version["sha256"]] if version["stored"] else []
            manifest = folder / version["sha256"]
            if wanted and version["kind"] == "directory" and manifest.exists():
                lines = manifest.read_text().splitlines()[1:]
                wanted += [line.split(" ")[0] for line in lines if not line.startswith("exclude ")]
            for digest in wanted:
                if not (folder / digest).exists():
                    self.violation(f"{model}@{number}: the store lacks {digest}")

    def pointer_files(self):
        settings = tomllib.loads((self.root / "lineage.toml").read_text())
        for model, of_model in settings.get("models", {}).items():
            path = self.root / of_model["pointer-file"]
            if of_model.get("pointer-format", "path") != "path":
                raise SystemExit(f"{path}: only the format \"path\" can be judged")
            history = self.fold.served.get((model, "prod"), [None])
            allowed = history[-2:] if self.interrupted else history[-1:]
            found = path.read_text() if path.exists() else None
            if found not in [served and served + "\n" for served in allowed]:
                self.violation(f"{path.name} holds {found!r}, allowed is one of {allowed}")
            if found is not None and not (self.root / found.strip()).exists():
                self.violation(f"{path.name} names {found.strip()}, which does not exist")

    def metadata_files(self):
        newest = {}
        for (model, number), entry in self.fold.versions.items():
            newest[entry["details"]["version"]["metadata_path"]] = (model, number, entry)
        for name, (model, number, entry) in newest.items():
            path = self.root / name
            if self.interrupted and (not path.exists() or entry["seq"] == self.head):
                # Owed; what is there must still be whole.
                if path.exists():
                    json.loads(path.read_text())
                continue
            if not path.exists():
                self.violation(f"{name} of {model}@{number} is missing")
                continue
            document = json.loads(path.read_text())
            details, lineage = entry["details"], document["lineage"]
            same = (
                (document["model"], document["version"]) == (model, number)
                and document["artifact"]["sha256"] == details["version"]["sha256"]
                and document["metrics"] == details["metrics"]
                and document["params"] == details["params"]
                and document["datasets"] == details["datasets"]
                and (lineage["registry"], lineage["seq"]) == (entry["registry"], entry["seq"])
                and lineage["entry_sha256"] == self.digests[entry["seq"]]
            )
            if not same:
                self.violation(f"{name} is not the metadata of {model}@{number}")

    def temporaries(self):
        left = list((self.registry / "tmp").iterdir())
        for pattern in (".*.lineage-tmp", ".lineage-checkout-*", ".lineage.init-*"):
            left += self.root.rglob(pattern)
        for path in left:
            self.violation(f"the temporary {path.relative_to(self.root)} is left")


def main():
    parser = argparse.ArgumentParser(description="Judges a registry from SQL and files alone.")
    parser.add_argument("project", type=Path)
    parser.add_argument("--interrupted", action="store_true", help="files may be owed")
    arguments = parser.parse_args()
    judgement = Judgement(arguments.project, arguments.interrupted)
    print("\n".join(judgement.violations) or f"{judgement.head + 1} entries, no violation")
    sys.exit(1 if judgement.violations else 0)


if __name__ == "__main__":
    main()
