#!/usr/bin/env python3
"""How long `lineage record` takes with everything on, for a table of 1.1 GB, a model of 1 GiB, ten
parameters and ten metrics, beside `openssl dgst -sha256` of both files and other registries.
make_data.py makes the data.

    record.py --data DIR [--binary PATH] [--dvc DIR] [--pacha PATH] [--mlflow PYTHON]
              [--rounds 9] [--mlflow-rounds 1] [--folder DIR] [--peers-only]

Each run begins with a fresh registry in a fresh folder that holds copies of table and model; making
them does not count. A peer is measured when its option is given:

- `--dvc DIR`, a folder with the programs dvc and gto: `dvc add` of both files, `git commit`,
  `gto register`. Parameters and metrics are files that are committed.
- `--pacha PATH`, the program: it registers both files. It keeps no parameters with them.
- `--mlflow PYTHON`, an interpreter with mlflow: reads the table with pandas, logs it as a dataset,
  parameters, metrics and the model file, registers a version. The database has its tables already.
  It is measured apart, since it takes minutes; its pairs have a `lineage record` of their own.
"""

import argparse
import json
import tempfile
from pathlib import Path

from clock import Bench, build, program
from peers import Workplace, dvc_repository, steps

TABLE, MODEL = "card.csv", "model.bin"
PARAMETERS = {f"parameter_{number}": number + 1 for number in range(10)}
METRICS = {f"metric_{number}": 0.5 + number / 32 for number in range(10)}

MLFLOW_BEGIN = """
import mlflow
mlflow.MlflowClient("sqlite:///mlflow.db").create_experiment("bench", artifact_location="artifacts")
"""
MLFLOW = """
import json, sys, mlflow, pandas
table, model, parameters, metrics = sys.argv[1:]
mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("bench")
with mlflow.start_run() as run:
    frame = pandas.read_csv(table)
    mlflow.log_input(mlflow.data.from_pandas(frame, source=table, name="card"), context="training")
    mlflow.log_params(json.loads(parameters))
    mlflow.log_metrics(json.loads(metrics))
    mlflow.log_artifact(model, "model")
client = mlflow.MlflowClient()
client.create_registered_model("fraud")
client.create_model_version("fraud", run.info.artifact_uri + "/model", run.info.run_id)
"""


def add_lineage(bench, binary, work):
    options = [f"--param={name}={value}" for name, value in PARAMETERS.items()]
    options += [f"--metric=test.{name}={value}" for name, value in METRICS.items()]
    bench.add("lineage record", binary, "record", "fraud", "--artifact", MODEL,
              "--data", f"training={TABLE}", *options, folder=work.folder,
              prepare=work.fresh((binary, "init", "-q")))


def add_openssl(bench, work):
    bench.add("openssl dgst", program("openssl"), "dgst", "-sha256", TABLE, MODEL,
              folder=work.folder, prepare=work.fresh())


def add_dvc(bench, programs, work):
    dvc, gto, git = programs / "dvc", programs / "gto", program("git")
    fresh = work.fresh(*dvc_repository(dvc))

    def prepare():
        fresh()
        (work.folder / "params.json").write_text(json.dumps(PARAMETERS), encoding="utf-8")
        (work.folder / "metrics.json").write_text(json.dumps(METRICS), encoding="utf-8")

    bench.add("dvc + gto", *steps(
        (dvc, "add", "-q", TABLE, MODEL),
        (git, "add", "."),
        (git, "commit", "-q", "-m", "Train"),
        (gto, "register", "fraud")), folder=work.folder, prepare=prepare)


def add_pacha(bench, pacha, work):
    register = (pacha, "--registry", "registry")
    bench.add("pacha", *steps(
        (*register, "data", "register", "-v", "1.0.0", "card", TABLE),
        (*register, "model", "register", "-v", "1.0.0", "fraud", MODEL)),
        folder=work.folder, prepare=work.fresh((*register, "init")))


def add_mlflow(bench, python, work):
    bench.add("mlflow", python, "-c", MLFLOW, TABLE, MODEL, json.dumps(PARAMETERS),
              json.dumps(METRICS), folder=work.folder,
              prepare=work.fresh((python, "-c", MLFLOW_BEGIN)))


def main():
    parser = argparse.ArgumentParser(description="Measures `lineage record`.")
    parser.add_argument("--data", type=Path, required=True, help="what make_data.py made")
    parser.add_argument("--binary", type=Path)
    parser.add_argument("--dvc", type=Path, help="the folder of the programs dvc and gto")
    parser.add_argument("--pacha", type=Path)
    parser.add_argument("--mlflow", help="an interpreter with mlflow")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--mlflow-rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where to work; 7 GB must be free")
    parser.add_argument("--peers-only", action="store_true", help="measure everything but lineage")
    arguments = parser.parse_args()
    binary = None
    if not arguments.peers_only:
        binary = (arguments.binary or build("-p", "lineage-cli") / "lineage").resolve()
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="lineage-bench-") as folder:
        work = Workplace(folder, arguments.data.resolve() / TABLE, arguments.data.resolve() / MODEL)
        quick, slow = Bench(), Bench()
        if binary:
            add_lineage(quick, binary, work)
            add_openssl(quick, work)
            add_lineage(slow, binary, work)
        if arguments.dvc:
            add_dvc(quick, arguments.dvc.resolve(), work)
        if arguments.pacha:
            add_pacha(quick, arguments.pacha.resolve(), work)
        if quick.measurements and arguments.rounds:
            quick.run(arguments.rounds, [("lineage record", "openssl dgst", 2.7),
                                         ("lineage record", "dvc + gto", 0.45),
                                         ("lineage record", "pacha", 1.5)])
        if arguments.mlflow:
            add_mlflow(slow, program(arguments.mlflow), work)
            print()
            slow.run(arguments.mlflow_rounds, [("lineage record", "mlflow", 0.03)], warm=False)


if __name__ == "__main__":
    main()
