#!/usr/bin/env python3
"""Makes a project whose registry holds many versions: Python writes canonical entries into the log,
`lineage doctor --rebuild` makes the tables from it. Half of the versions are of `fraud`, which
moves with every hundredth; the last one is a real file of 350 KiB, recorded and promoted.

    make_registry.py PROJECT [--versions N] [--binary PATH]
"""

import argparse
import datetime
import hashlib
import json
import os
import sqlite3
import subprocess
from pathlib import Path

from clock import ENVIRONMENT, build

MODEL_BYTES = 350 * 1024
CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz".upper()


def ulid(number):
    digits = ""
    for _ in range(26):
        digits = CROCKFORD[number % 32] + digits
        number //= 32
    return digits


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


class Log:
    def __init__(self, database):
        self.rows = []
        seq, entry, self.prev = database.execute(
            "SELECT seq, entry, sha256 FROM event ORDER BY seq DESC LIMIT 1").fetchone()
        self.template, self.seq = json.loads(entry), seq
        self.start = datetime.datetime(2020, 1, 1)

    def append(self, **facts):
        self.seq += 1
        time = self.start + datetime.timedelta(minutes=self.seq)
        entry = self.template | facts | {
            "seq": self.seq, "prev": self.prev, "time": time.isoformat(timespec="microseconds") + "Z"}
        # Nothing in these entries needs more of RFC 8785 than sorted keys.
        data = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        self.prev = hashlib.sha256(data).hexdigest()
        self.rows.append((self.seq, data, self.prev))


def fill(database, versions):
    template = json.loads(database.execute(
        "SELECT entry FROM event WHERE sha256 = (SELECT sha256 FROM event ORDER BY seq DESC LIMIT 1)"
    ).fetchone()[0])
    log, numbers, live = Log(database), {"fraud": 1}, None
    for index in range(1, versions - 1):
        model = "fraud" if index % 2 else f"model-{index % 198 // 2}"
        number = numbers[model] = numbers.get(model, 0) + 1
        path, sha256 = f"models/{model}/{number}/model.bin", digest(f"{model} {number}")
        version = template["details"]["version"] | {
            "number": number, "path": path, "sha256": sha256, "largest_file_sha256": sha256,
            "stored": False, "metadata_path": f"models/{model}/{number}/metadata.json"}
        details = template["details"] | {
            "model": model, "version": version, "request_sha256": digest(sha256),
            "datasets": [{"role": "training", "name": "train.csv", "path": "data/train.csv",
                          "kind": "file", "sha256": digest(str(index // 50)), "size_bytes": 1,
                          "hashed": "bytes", "table": None, "transformations": [], "source": None,
                          "row_range": None, "exclude": []}]}
        log.append(details=details, session=ulid(index), subject=f"{model}@{number}")
        if model == "fraud" and index % 100 == 1:
            served = {"path": path, "from": "recorded", "kind": "file", "sha256": sha256}
            log.append(
                type="pointer.moved", component="release", action="promote", risk_impact="HIGH",
                compliance_tags=["change-management"], session=None, subject="fraud@prod",
                details={"model": model, "pointer": "prod", "action": "promote", "from": live,
                         "to": number, "popped": 0, "pushed": True, "passed_over": [],
                         "quarantined": False, "served": served, "reason": None, "expected": None,
                         "overwrote": None, "post_review": False})
            live = number
    with database:
        database.executemany("INSERT INTO event (seq, entry, sha256) VALUES (?, ?, ?)", log.rows)


def make(project: Path, versions, binary, model_bytes=MODEL_BYTES):
    def lineage(*arguments):
        subprocess.run([binary, *arguments], cwd=project, check=True, stdout=subprocess.DEVNULL,
                       env=ENVIRONMENT | {"NO_COLOR": "1"}, stderr=subprocess.DEVNULL)

    def record(folder, size):
        (project / folder).mkdir()
        with open(project / folder / "model.bin", "wb") as file:
            for start in range(0, size, 1 << 24):
                file.write(os.urandom(min(1 << 24, size - start)))
        lineage("record", "fraud", "--artifact", f"{folder}/model.bin", "--metric", "test.auc=0.5",
                "--param", "depth=6", "--no-store")

    project.mkdir(parents=True, exist_ok=True)
    lineage("init")
    record("first", 1000)
    if versions > 2:
        database = sqlite3.connect(project / ".lineage" / "registry.db")
        fill(database, versions)
        database.close()
        lineage("doctor", "--rebuild")
    record("live", model_bytes)
    lineage("promote", "fraud")


def main():
    parser = argparse.ArgumentParser(description="Makes a registry with many versions.")
    parser.add_argument("project", type=Path)
    parser.add_argument("--versions", type=int, default=100_000)
    parser.add_argument("--binary", type=Path)
    arguments = parser.parse_args()
    binary = arguments.binary or build("-p", "lineage-cli") / "lineage"
    make(arguments.project, arguments.versions, binary.resolve())


if __name__ == "__main__":
    main()
