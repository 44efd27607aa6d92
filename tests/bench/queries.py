#!/usr/bin/env python3
"""How long questions take in a large registry: 100,000 sessions with 20 metrics and 20 parameters each,
all versions of one model, beside a registry of 100. Python writes canonical entries into the log,
`lineage doctor --rebuild` makes the tables from it.

    queries.py [--binary PATH] [--rounds N] [--sessions N] [--folder DIR] [--keep]

Bars: `search` and the first page of `log` take at most 50 ms; `resolve`, `show`, `promote`, one `record`, and
answers for the past (`--at`) at most twice their time in the small registry. With --keep the registries
stay in --folder and are used again.
"""

import argparse
import itertools
import json
import random
import sqlite3
import statistics
import subprocess
import tempfile
from pathlib import Path

from clock import ENVIRONMENT, build, interleaved, report, run
from make_registry import Log, digest, ulid

MEASURES = 20
# Seven versions are there by this entry, and the first is live.
EARLY = 10
MILLISECONDS_MAX = 50

SEARCHES = {
    "metric": "metric.validation.m07 > 0.999",
    "metric, one in ten": "metric.validation.m07 > 0.9",
    "metric, all": "metric.validation.m07 > 0",
    "metric, model, data": "metric.validation.m07 > 0.9 and model = fraud and data = sha256:{data} "
                           "order by created desc",
    "metric, model": "metric.validation.m07 > 0.5 and model = fraud",
    "two metrics": "metric.validation.m07 > 0.9 and metric.validation.m11 < 0.1",
    "either metric": "metric.validation.m07 > 0.99 or metric.validation.m11 < 0.01",
    "best": "model = fraud order by metric.validation.m07 desc",
    "parameter": "param.p03 = 7",
    "parameter text": "param.p17 = choice-3 and metric.validation.m01 > 0.5",
    "time": "created >= 2020-03-01 and metric.validation.m01 > 0.99",
    "since, all": "created >= 2020-01-01",
    "since, none": "created >= 2999-01-01",
    "before, all": "created < 2999-01-01",
    "before, none": "created < 2020-01-01",
    "version": "version = 77",
    "versions, all": "version >= 1",
    "seed, none": "seed = 77",
    "model type, none": "model_type = other",
    "actor, none": "actor = nobody",
    "actor, all": "actor != nobody",
    "model, before, all": "model = fraud and created < 2999-01-01",
    "model, before, none": "model = fraud and created < 2020-01-01",
    "model, versions, all": "model = fraud and version >= 1",
    "model, versions, none": "model = fraud and version >= 1000000000",
    "model, actor, none": "model = fraud and actor = nobody",
    "model, seed, none": "model = fraud and seed = 77",
    "model, type, none": "model = fraud and model_type = other",
    "small model, before": "model = tiny and created < 2999-01-01",
    "small model, versions": "model = tiny and version >= 1",
    "small model, actor": "model = tiny and actor ~ a",
}


def measures(index):
    chance = random.Random(index)
    metrics = [{"split": "validation", "name": f"m{number:02}",
                # In this range Python writes doubles as ECMAScript does.
                "value": round(0.001 + chance.random() * 0.998, 6)} for number in range(MEASURES)]
    params = []
    for number in range(MEASURES):
        if number < 10:
            text, kind = str(chance.randrange(50)), "int"
        elif number < 15:
            text, kind = f"{chance.random():.4f}", "float"
        else:
            text, kind = f"choice-{chance.randrange(8)}", "string"
        params.append({"name": f"p{number:02}", "text": text, "type": kind})
    return {"metrics": metrics, "params": params}


def fill(database, sessions):
    """Versions from 2 on; the first was recorded by the program, and its entry is the template."""
    template = json.loads(database.execute(
        "SELECT entry FROM event WHERE sha256 = (SELECT sha256 FROM event ORDER BY seq DESC LIMIT 1)"
    ).fetchone()[0])
    log = Log(database)
    served = {"path": "first.bin", "from": "recorded", "kind": "file",
              "sha256": template["details"]["version"]["sha256"]}
    log.append(type="pointer.moved", component="release", action="promote", risk_impact="HIGH",
               compliance_tags=["change-management"], session=None, subject="fraud@prod",
               details={"model": "fraud", "pointer": "prod", "action": "promote", "from": None, "to": 1,
                        "popped": 0, "pushed": True, "passed_over": [], "quarantined": False,
                        "served": served, "reason": None, "expected": None, "overwrote": None,
                        "post_review": False})
    for number in range(2, sessions):
        path, sha256 = f"models/{number}/model.bin", digest(f"fraud {number}")
        version = template["details"]["version"] | {
            "number": number, "path": path, "sha256": sha256, "largest_file_sha256": sha256,
            "stored": False, "metadata_path": f"models/{number}/metadata.json"}
        dataset = {"role": "training", "name": "train.csv", "path": "data/train.csv", "kind": "file",
                   "sha256": digest(str(number // 50)), "size_bytes": 1, "hashed": "bytes",
                   "table": None, "transformations": [], "source": None, "row_range": None,
                   "exclude": []}
        details = template["details"] | measures(number) | {
            "version": version, "request_sha256": digest(sha256), "datasets": [dataset]}
        log.append(details=details, session=ulid(number), subject=f"fraud@{number}")
        if len(log.rows) == 1000:
            database.executemany("INSERT INTO event (seq, entry, sha256) VALUES (?, ?, ?)", log.rows)
            log.rows.clear()
    database.executemany("INSERT INTO event (seq, entry, sha256) VALUES (?, ?, ?)", log.rows)
    database.commit()


def flags(index):
    found = measures(index)
    return [f"--metric=validation.{metric['name']}={metric['value']}" for metric in found["metrics"]] + [
        f"--param={param['name']}={param['text']}" for param in found["params"]]


def make(project, sessions, binary):
    if (project / "done").exists():
        return

    def lineage(*arguments):
        subprocess.run([binary, *arguments], cwd=project, check=True, stdout=subprocess.DEVNULL,
                       env=ENVIRONMENT | {"NO_COLOR": "1"}, stderr=subprocess.DEVNULL)

    project.mkdir(parents=True)
    for name in ["first", "live"]:
        (project / f"{name}.bin").write_bytes(random.Random(name).randbytes(350 * 1024))
    lineage("init")
    lineage("record", "fraud", "--artifact", "first.bin", "--no-store", *flags(1))
    database = sqlite3.connect(project / ".lineage" / "registry.db")
    fill(database, sessions)
    database.close()
    lineage("doctor", "--rebuild")
    lineage("record", "fraud", "--artifact", "live.bin", "--no-store", *flags(sessions))
    lineage("record", "tiny", "--artifact", "first.bin", "--no-store", *flags(1))
    (project / "done").touch()


def verbs(project, sessions, binary):
    """The commands whose time must not grow, each as a function that runs it once."""
    turns = itertools.cycle([str(sessions), "1"])
    counter = itertools.count(sessions + 1)

    def record():
        number = next(counter)
        (project / "new.bin").write_bytes(f"{number}".encode() * 1000)
        return run((binary, "record", "fraud", "--artifact", "new.bin", "--no-store",
                    *flags(number)), project)[0]

    def at(moment, *arguments):
        return lambda: run((binary, *arguments, "--at", moment), project)[0]

    past = {
        f"{verb} --at {when}": at(f"seq:{seq}", verb, reference)
        for verb, reference in [("resolve", "fraud"), ("history", "fraud"), ("show", "fraud@7")]
        for when, seq in [("early", EARLY), ("late", sessions + 2)]}
    return past | {
        "resolve": lambda: run((binary, "resolve", "fraud"), project)[0],
        "show": lambda: run((binary, "show", "fraud@7"), project)[0],
        "promote": lambda: run((binary, "promote", "fraud", "--version", next(turns)), project)[0],
        "record": record,
    }


def main():
    parser = argparse.ArgumentParser(description="Measures questions in a large registry.")
    parser.add_argument("--binary", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where to make the registries")
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    binary = (arguments.binary or build("-p", "lineage-cli") / "lineage").resolve()
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="lineage-bench-") as temporary:
        folder = arguments.folder if arguments.keep and arguments.folder else Path(temporary)
        small, large = folder / "small", folder / "large"
        make(small, 100, binary)
        make(large, arguments.sessions, binary)
        size = (large / ".lineage" / "registry.db").stat().st_size
        print(f"{arguments.sessions} sessions, {size / 2**20:.0f} MiB")

        data = digest("7")[:12]
        questions = {"log": ("log",)} | {
            f"search: {name}": ("search", text.format(data=data)) for name, text in SEARCHES.items()}
        raw = interleaved(arguments.rounds, {
            name: lambda question=question: run((binary, *question), large)[0]
            for name, question in questions.items()})
        report(raw)
        for name, seconds in raw.items():
            median = statistics.median(seconds) * 1000
            judged = "met" if median <= MILLISECONDS_MAX else "MISSED"
            print(f"{name}: {median:.1f} ms, bar {MILLISECONDS_MAX} ms: {judged}")

        measured = {}
        for name, project, count in [("small", small, 100), ("large", large, arguments.sessions)]:
            for verb, measure in verbs(project, count, binary).items():
                measured[f"{verb}, {name}"] = measure
        order = sorted(measured)
        raw = interleaved(arguments.rounds, {name: measured[name] for name in order})
        verbs_measured = sorted({name.rsplit(", ", 1)[0] for name in measured})
        report(raw, [(f"{verb}, large", f"{verb}, small", 2) for verb in verbs_measured])


if __name__ == "__main__":
    main()
