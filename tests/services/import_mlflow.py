"""Imports a database made by the real MLflow, and compares everything in it with the registry.

Needs the packages mlflow, scikit-learn and pandas. What MLflow's own client says of its runs, metrics
and models is compared with what `lineage` says (`show --json`) and with the registry's tables and
payloads, read here without lineage's help.
"""

import argparse
import json
import math
import os
import sqlite3
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_DO_NOT_TRACK"] = "true"


def make(folder):
    """A database with everything that an import must not lose."""
    import mlflow
    import pandas
    from mlflow import MlflowClient
    from sklearn.linear_model import LogisticRegression

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    client = MlflowClient()
    artifacts = (folder / "mlartifacts").as_uri()
    experiment = client.create_experiment("Fraud / EU", artifacts, tags={"team": "risk", "größe": "ü\n\"x\""})
    other = client.create_experiment("other", artifacts)
    gone = client.create_experiment("gone", artifacts)
    client.delete_experiment(gone)
    frame = pandas.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 1.0, 0.0], "y": [0.0, 0.0, 1.0, 1.0]})
    sources = []
    for number in range(3):
        with mlflow.start_run(experiment_id=experiment, run_name=f"train {number}") as run:
            mlflow.log_params({"depth": number, "rate": 0.1, "text": "a b=c\n\"ü\"", "empty": ""})
            for step in range(-2, 40):
                mlflow.log_metric("loss", 1.0 / (step + 3), step=step)
            mlflow.log_metric("loss", 0.5, step=39)
            mlflow.log_metric("validation.auc", 0.9 + number / 100)
            mlflow.log_metric("odd", float("nan"), step=1)
            mlflow.log_metric("odd", float("inf"), step=2)
            mlflow.log_metric("odd", float("-inf"), step=3)
            mlflow.log_metric("gap", float("nan"))
            client.log_metric(run.info.run_id, "old", 1e-300, timestamp=1, step=2**40)
            mlflow.set_tags({"mlflow.note.content": "a note", "long": "x" * 5000})
            data = mlflow.data.from_pandas(frame, source="s3://bucket/train.csv", name="train", targets="y")
            mlflow.log_input(data, context="training", tags={"part": "all"})
            with mlflow.start_run(experiment_id=experiment, nested=True, run_name="child"):
                mlflow.log_metric("child", number)
            model = LogisticRegression().fit(frame[["a", "b"]], frame["y"] if number else 1 - frame["y"])
            logged = mlflow.sklearn.log_model(model, name="model", input_example=frame[["a", "b"]])
            mlflow.log_metric("of_model", 0.25 + number, model_id=logged.model_id, dataset=data)
            sources.append((logged.model_uri, run.info.run_id))
    with mlflow.start_run(experiment_id=other) as deleted:
        mlflow.log_metric("a", 1)
        mlflow.log_param("api_key", "hunter2hunter2")
    client.delete_run(deleted.info.run_id)
    unfinished = {}
    for status in ["FAILED", "KILLED", "RUNNING", "SCHEDULED"]:
        run_id = client.create_run(other, run_name=status.lower()).info.run_id
        client.log_param(run_id, "depth", 7)
        client.set_tag(run_id, "team", "risk")
        # Few points stand in an entry, many in a payload.
        for step in range(3 if status == "FAILED" else 100):
            client.log_metric(run_id, "validation.loss", 1.0 / (step + 1), step=step)
        client.log_metric(run_id, "odd", float("nan"), step=1)
        client.log_metric(run_id, "odd", float("inf"), step=2)
        if status in ("FAILED", "KILLED"):
            client.set_terminated(run_id, status)
        elif status == "SCHEDULED":
            client.update_run(run_id, status=status)
        unfinished[status] = run_id

    client.create_registered_model("fraud", tags={"owner": "risk"}, description="finds fraud")
    for uri, run_id in sources:
        version = client.create_model_version("fraud", uri, run_id=run_id, tags={"stage": "x"})
        client.update_model_version("fraud", version.version, description=f"from {run_id}")
    client.create_model_version("fraud", "s3://nowhere/model")
    # The same bytes, from a run that was killed.
    client.create_model_version("fraud", sources[0][0], run_id=unfinished["KILLED"])
    client.set_registered_model_alias("fraud", "doubtful", "5")
    client.set_registered_model_alias("fraud", "champion", "2")
    client.set_registered_model_alias("fraud", "shadow", "1")
    client.set_registered_model_alias("fraud", "lost", "4")
    client.create_registered_model("empty one")
    # The same bytes registered twice from one run.
    client.create_registered_model("second name")
    client.create_model_version("second name", sources[0][0], run_id=sources[0][1])
    return client


def same(a, b):
    """Whether ours is MLflow's value; MLflow keeps infinity as the largest double."""
    if math.isinf(a):
        return abs(b) == sys.float_info.max and (a > 0) == (b > 0)
    return (math.isnan(a) and math.isnan(b)) or a == b


def finite(value):
    """A value that sorts and compares: NaN is NaN, and MLflow keeps infinity as the largest double."""
    if math.isnan(value):
        return "NaN"
    return repr(max(-sys.float_info.max, min(sys.float_info.max, float(value))))


def points(registry, payload):
    """The points of a series, decoded by its specification."""
    data = (registry / "objects" / payload["sha256"]).read_bytes()
    magic = b"lineage-series-1\n"
    assert data.startswith(magic)
    (count,) = struct.unpack_from("<Q", data, len(magic))
    at = len(magic) + 8
    steps, times = (struct.unpack_from(f"<{count}q", data, at + 8 * count * i) for i in (0, 1))
    values = struct.unpack_from(f"<{count}d", data, at + 16 * count)
    assert len(data) == at + 24 * count
    return list(zip(steps, times, values))


def sessions(registry):
    """Every recorded session's details, by the original id of what it was. Of one that was not completed, what
    stands in its entries, and its state."""
    connection = sqlite3.connect(f"file:{registry}/registry.db?mode=ro", uri=True)
    found = {}
    for (entry,) in connection.execute("SELECT entry FROM event ORDER BY seq"):
        entry = json.loads(entry)
        if entry["type"] == "session.failed":
            (details,) = (d for d in found.values() if d.get("session") == entry["session"])
            details |= {"state": "failed", "reason": entry["details"]["reason"]}
        if entry["type"] in ("session.completed", "session.started"):
            details = entry["details"]
            if entry["type"] == "session.started":
                empty = {"params": [], "tags": [], "metrics": [], "version": None}
                details = empty | details | {"session": entry["session"], "state": "open"}
            facts = details["claims"]["facts"]
            ids = {"run": "run_uuid", "experiment": "experiment_id", "dataset": "dataset_uuid",
                   "registered-model": "name", "logged-model": "model_id"}
            kind = facts.get("mlflow")
            key = facts[ids[kind]] if kind in ids else f"{facts['version.name']}/{facts['version.version']}"
            assert (kind, key) not in found, (kind, key)
            found[kind, key] = details
    return found


def number(value):
    special = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf, "-0": -0.0}
    return special.get(value, value) if isinstance(value, str) else value


def time_ms(text):
    from datetime import datetime, timezone
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    return round((datetime.fromisoformat(text) - epoch).total_seconds() * 1000)


def series_of(registry, details, name):
    """The points of every metric of a session, from its entry and its payloads."""
    series = {}
    for one in details.get("series", []):
        series[name(one)] = points(registry, one["payload"])
        assert len(series[name(one)]) == one["points"]
    for point in details.get("points", []):
        found = (point["step"], time_ms(point["time"]) * 1000, number(point["value"]))
        series.setdefault(name(point), []).append(found)
    return {key: sorted(found, key=lambda point: point[:2]) for key, found in series.items()}


def compare_runs(client, registry, found):
    from mlflow.entities import ViewType
    experiments = client.search_experiments(view_type=ViewType.ALL)
    seen = 0
    for experiment in experiments:
        details = found["experiment", experiment.experiment_id]
        facts = details["claims"]["facts"]
        assert {t["name"]: t["value"] for t in details["tags"]} == experiment.tags
        assert facts["name"] == experiment.name and facts["lifecycle_stage"] == experiment.lifecycle_stage
        assert time_ms(facts["creation_time"]) == experiment.creation_time
        for run in client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL):
            seen += 1
            details = found["run", run.info.run_id]
            facts = details["claims"]["facts"]
            assert facts["status"] == run.info.status and facts["user_id"] == run.info.user_id
            assert facts["name"] == run.info.run_name
            assert facts["lifecycle_stage"] == run.info.lifecycle_stage
            assert facts["experiment_id"] == experiment.experiment_id
            assert time_ms(facts["start_time"]) == run.info.start_time
            if run.info.status == "FINISHED":
                assert time_ms(details["started"]) == run.info.start_time
            else:
                state = "failed" if run.info.status in ("FAILED", "KILLED") else "open"
                assert details["state"] == state, details
                assert details.get("reason") == (f"{run.info.status} in MLflow" if state == "failed" else None)
            if run.info.end_time:
                assert time_ms(facts["end_time"]) == run.info.end_time
            params = {p["name"]: p["text"] for p in details["params"]}
            expected = dict(run.data.params)
            if "api_key" in expected:
                expected["api_key"] = "[removed]"
            assert params == expected, (params, expected)
            assert {t["name"]: t["value"] for t in details["tags"]} == run.data.tags
            name = lambda m: (m["split"] + "." if m["split"] else "") + m["name"]
            metrics = {name(m): number(m["value"]) for m in details["metrics"]}
            assert metrics.keys() == run.data.metrics.keys()
            assert all(same(metrics[key], value) for key, value in run.data.metrics.items())
            series = series_of(registry, details, name)
            assert series.keys() == metrics.keys()
            for key in metrics:
                history = client.get_metric_history(run.info.run_id, key)
                stored = series[key]
                history = [(m.step, m.timestamp * 1000, finite(m.value)) for m in history]
                stored = [(step, time, finite(value)) for step, time, value in stored]
                assert sorted(stored) == sorted(history), key
            inputs = run.inputs.dataset_inputs
            for given in inputs:
                ids = {k.split(".")[0] for k, v in facts.items() if k.startswith("input ") and v == given.dataset.digest}
                assert len(ids) == 1, facts
                prefix = ids.pop()
                assert facts[f"{prefix}.name"] == given.dataset.name
                assert facts[f"{prefix}.dataset_source"] == given.dataset.source
                for tag in given.tags:
                    assert facts[f"{prefix}.tag {tag.key}"] == tag.value
                whole = [d["claims"]["facts"] for (kind, _), d in found.items() if kind == "dataset"]
                assert any(d["digest"] == given.dataset.digest and d["dataset_schema"] == given.dataset.schema
                           and d["dataset_profile"] == given.dataset.profile for d in whole)
    return seen


def compare_models(client, found):
    versions = 0
    for model in client.search_registered_models():
        details = found["registered-model", model.name]
        facts = details["claims"]["facts"]
        assert {t["name"]: t["value"] for t in details["tags"]} == dict(model.tags)
        assert (facts.get("description") or None) == (model.description or None)
        assert time_ms(facts["creation_time"]) == model.creation_timestamp
        aliases = {k.removeprefix("alias "): v for k, v in facts.items() if k.startswith("alias ")}
        assert aliases == {alias: str(v) for alias, v in model.aliases.items()}, (aliases, model.aliases)
        for version in client.search_model_versions(f"name='{model.name}'"):
            versions += 1
            holders = [d for d in found.values()
                       if d["claims"]["facts"].get("version.name") == model.name
                       and d["claims"]["facts"]["version.version"] == str(version.version)]
            assert len(holders) == 1
            facts = holders[0]["claims"]["facts"]
            assert facts["version.source"] == version.source
            assert facts["version.current_stage"] == version.current_stage
            assert time_ms(facts["version.creation_time"]) == version.creation_timestamp
            assert facts.get("version.description") == (version.description or None)
            tags = {k.removeprefix("version tag "): v for k, v in facts.items() if k.startswith("version tag ")}
            assert tags == dict(version.tags), (tags, version.tags)
            made = holders[0]["version"]
            assert (made is None) == version.source.startswith("s3:"), (version.source, made)
    return versions


def second_run(found):
    """The run that version 2 of fraud is from."""
    return next(key for (kind, key), details in found.items() if kind == "run"
                and details["claims"]["facts"].get("version.name") == "fraud"
                and details["claims"]["facts"]["version.version"] == "2")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    binary = os.path.abspath(parser.parse_args().binary)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder).resolve()
        client = make(folder)
        project = folder / "project"
        project.mkdir()

        def lineage(*arguments, code=0):
            ran = subprocess.run([binary, *arguments], cwd=project, capture_output=True, text=True)
            assert ran.returncode == code, (arguments, ran.returncode, ran.stdout, ran.stderr)
            return ran.stdout

        lineage("init")
        database = str(folder / "mlflow.db")
        before = (folder / "mlflow.db").read_bytes()
        planned = json.loads(lineage("import", "mlflow", database, "--dry-run", "--json"))
        assert planned["changed"] and all(c["found"] == c["imported"] for c in planned["counts"]), planned
        report = json.loads(lineage("import", "mlflow", database, "--aliases-as-pointers", "--json"))
        assert all(c["found"] == c["imported"] for c in report["counts"]), report["counts"]
        assert (folder / "mlflow.db").read_bytes() == before, "the database was written to"
        assert not report["left"], report["left"]
        registry = project / ".lineage"
        found = sessions(registry)
        runs = compare_runs(client, registry, found)
        versions = compare_models(client, found)
        counts = {c["kind"]: c["found"] for c in report["counts"]}
        assert counts["runs"] == runs and counts["model_versions"] == versions
        assert counts["logged_model_metrics"] >= 3 and counts["input_tags"] >= 6

        # Aliases are pointers where there are bytes, and resolve to MLflow's own files.
        champion = json.loads(lineage("resolve", "fraud@champion", "--json"))
        second = [v for v in report["versions"] if v["original"] == "fraud version 2"][0]
        assert champion["version"] == second["version"] and champion["verified"] == "bytes"
        shown = json.loads(lineage("show", "fraud@mlflow-2", "--json"))
        facts = shown["metadata"]["claims"]["facts"]
        assert facts["version.version"] == "2" and shown["metadata"]["claims"]["source"] == "mlflow"
        assert {p["name"] for p in shown["metadata"]["params"]} == {"depth", "rate", "text", "empty"}
        assert not any(p["set"] for p in report["pointers"] if p["name"] in ("lost", "doubtful"))
        doubtful = json.loads(lineage("show", "fraud@mlflow-5", "--json"))["metadata"]
        assert doubtful["note"].endswith("whose status is KILLED") and not doubtful["metrics"]
        assert doubtful["claims"]["facts"]["run.status"] == "KILLED"
        for path in registry.rglob("*"):
            assert path.is_dir() or b"hunter2" not in path.read_bytes(), path

        # Again: nothing new. After one more metric: that run alone.
        again = json.loads(lineage("import", "mlflow", database, "--aliases-as-pointers", "--json"))
        assert not again["changed"] and again["sessions_new"] == 0, again
        run_id = second_run(found)
        client.log_metric(run_id, "later", 1.0)
        after = json.loads(lineage("import", "mlflow", database, "--json"))
        assert after["sessions_new"] == 1, after
        assert after["versions"] == report["versions"], "a version was made twice"
        assert all(c["found"] == c["imported"] for c in after["counts"]), after["counts"]
        lineage("verify")
        kinds = ", ".join(f"{number} {kind}" for kind, number in counts.items() if number)
        print(f"imported and compared: {kinds}")


main()
