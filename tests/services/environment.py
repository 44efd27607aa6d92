#!/usr/bin/env python3
"""Checks what `record` captures of real Python environments against what they say of themselves.

    python3 tests/services/environment.py --binary PATH
"""
import argparse, json, os, re, subprocess, sys, tempfile, time, venv
from pathlib import Path

LIST = ("import json, sys; from importlib import metadata; print(json.dumps([sys.version_info[:3]] + "
        "[[d.metadata['Name'], d.version] for d in metadata.distributions() if d.metadata['Name']]))")


def own_words(python):
    """What an ordinary start of the interpreter sees, .pth files and all."""
    version, *found = json.loads(subprocess.check_output([python, "-c", LIST], cwd="/"))
    packages = {}
    for name, number in found:
        packages.setdefault(re.sub(r"[-_.]+", "-", name).lower(), number)
    return ".".join(map(str, version)), [{"name": n, "version": packages[n]} for n in sorted(packages)]


def captured(binary, project, **variables):
    base = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "CONDA_PREFIX")}
    run = lambda *words: subprocess.run(
        [binary, *words], cwd=project, env={**base, **variables}, check=True, capture_output=True, text=True).stdout
    (project / "m.bin").write_text(str(time.monotonic_ns()))
    version = run("record", "fraud", "--artifact", "m.bin", "-q").strip()
    return json.loads(run("show", f"fraud@{version}", "--json"))["environment"]["python"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    binary = str(Path(parser.parse_args().binary).resolve())
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder).resolve()
        project = folder / "project"
        project.mkdir()
        subprocess.run([binary, "init", "-q"], cwd=project, check=True, capture_output=True)
        for name, system in (("alone", False), ("shared", True)):
            venv.create(folder / name, with_pip=True, system_site_packages=system)
            packages, = (folder / name).glob("lib/python*/site-packages")
            info = packages / "My_Own.Package-1.2.3.dist-info"
            info.mkdir()
            (info / "METADATA").write_text("Metadata-Version: 2.1\nName: My_Own.Package\nVersion: 1.2.3\n")
            (packages / "broken-0.dist-info").mkdir()
            # Whoever executes code of the environment leaves a trace.
            trace = folder / f"{name}-was-executed"
            touch = f"import os; os.environ.get('TRACE') and open({str(trace)!r}, 'w')\n"
            (packages / "trace.pth").write_text(touch)
            (packages / "sitecustomize.py").write_text(touch)
            for module in ("json", "importlib", "re"):
                (project / f"{module}.py").write_text(touch)
            found = captured(binary, project, VIRTUAL_ENV=str(folder / name), TRACE="1", PYTHONPATH=str(project))
            version, expected = own_words(folder / name / "bin" / "python")
            assert found["packages"] == expected, (name, found, expected)
            assert found["version"] == version and {"name": "my-own-package", "version": "1.2.3"} in expected
            assert not trace.exists(), f"{name}: code was executed"
            subprocess.run([folder / name / "bin" / "python", "-c", ""], env={**os.environ, "TRACE": "1"}, check=True)
            assert trace.exists(), "the trap would not have been noticed"
            print(f"{name}: {len(expected)} packages, Python {version}")
        hanging = folder / "hanging" / "bin"
        hanging.mkdir(parents=True)
        (hanging / "python").write_text("#!/bin/sh\nexec sleep 600\n")
        (hanging / "python").chmod(0o755)
        started = time.monotonic()
        found = captured(binary, project, VIRTUAL_ENV=str(hanging.parent))
        assert found == {"unavailable": "python did not answer within 20 s"}, found
        assert time.monotonic() - started < 40
        print("a Python that hangs is left after 20 s")


if __name__ == "__main__":
    sys.exit(main())
