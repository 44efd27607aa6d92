#!/usr/bin/env python3
"""Sessions: what `lineage run` adds to a program, many processes that log steps, a long metric series.

    sessions.py --binary PATH [--rounds N] [--workers 64] [--steps 50] [--points 1000000]
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clock import ENVIRONMENT, interleaved, program, report, run, weather


def lineage(binary, folder, *arguments):
    done = subprocess.run([binary, *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"lineage {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def added(binary, folder, rounds):
    """What `lineage run -- true` costs over `true`."""
    true = program("true")
    raw = interleaved(rounds, {
        "true": lambda: run([true], folder)[0],
        "lineage run -- true": lambda: run([binary, "run", "fraud", "--", true], folder)[0]})
    report(raw, [("lineage run -- true", "true")])


def steps(binary, folder, workers, count, sessions):
    """Steps of so many processes at once on so many sessions; all must be there afterwards."""
    ids = [lineage(binary, folder, "session", "start", "fraud", "-q").strip() for _ in range(sessions)]

    def work(worker):
        for step in range(count):
            lineage(binary, folder, "session", "metric", f"worker{worker}={step}", "--step", str(step),
                    "--session", ids[worker % sessions])

    started = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))
    seconds = time.perf_counter() - started
    seen = {}
    for session in ids:
        facts = json.loads(lineage(binary, folder, "session", "show", session, "--json"))["facts"]
        for point in facts.get("points", []):
            seen.setdefault(point["name"], set()).add((point["step"], point["value"]))
        lineage(binary, folder, "session", "complete", "--session", session)
    expected = {(step, step) for step in range(count)}
    lost = [worker for worker in range(workers) if seen.get(f"worker{worker}") != expected]
    print(f"{workers} processes x {count} steps on {sessions} sessions: {seconds:.1f} s, "
          f"{workers * count / seconds:.0f} steps a second, lost: {lost or 'nothing'}")
    lineage(binary, folder, "verify")


def series(binary, folder, points, rounds):
    """A long series through a file of NDJSON, and look-ups of one metric."""
    path = Path(folder) / "metrics.ndjson"
    with open(path, "w", encoding="utf-8") as file:
        for step in range(points):
            file.write(f'{{"step": {step}, "loss": {1 / (step + 1)!r}, "time": {1.7e9 + step}}}\n')
    (Path(folder) / "model.bin").write_bytes(os.urandom(4096))
    seconds, _, peak = run([binary, "record", "series", "--artifact", "model.bin", "--metrics-file", str(path)], folder)
    print(f"{points} points ({path.stat().st_size / 1e6:.0f} MB of NDJSON) recorded in {seconds:.2f} s, {peak / 1024:.0f} MiB")
    raw = interleaved(rounds, {
        "show --metric": lambda: run([binary, "show", "series@1", "--metric", "loss"], folder)[0],
        "show": lambda: run([binary, "show", "series@1"], folder)[0]})
    report(raw)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, type=lambda path: str(Path(path).resolve()))
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--points", type=int, default=1_000_000)
    options = parser.parse_args()
    print(weather())
    with tempfile.TemporaryDirectory() as folder:
        lineage(options.binary, folder, "init")
        added(options.binary, folder, options.rounds)
        steps(options.binary, folder, options.workers, options.steps, 1)
        steps(options.binary, folder, options.workers, options.steps, options.workers)
        series(options.binary, folder, options.points, options.rounds)


if __name__ == "__main__":
    main()
