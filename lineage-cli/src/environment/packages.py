# Run as `python -I -S`: no module of the project, no .pth file and no sitecustomize is executed.
# Prints the interpreter and its installed distributions, read from their metadata files.
import json, os, re, site, sys

if sys.version_info < (3, 8):
    sys.exit("Python before 3.8 cannot list its packages")
from importlib import metadata

# What site.py does for a virtual environment, without its .pth files.
folder = os.path.dirname(os.path.abspath(sys.executable))
prefixes, user = [sys.prefix, sys.exec_prefix], True
for candidate in (folder, os.path.dirname(folder)):
    configuration = os.path.join(candidate, "pyvenv.cfg")
    if os.path.isfile(configuration):
        with open(configuration, encoding="utf-8") as lines:
            settings = dict(line.split("=", 1) for line in lines if "=" in line)
        settings = {key.strip().lower(): value.strip().lower() for key, value in settings.items()}
        user = settings.get("include-system-site-packages") == "true"
        base = [sys.base_prefix, sys.base_exec_prefix]
        sys.prefix = sys.exec_prefix = candidate
        prefixes = [candidate]
        folders = site.getsitepackages(prefixes)
        if user:
            sys.prefix, sys.exec_prefix = base
            folders += site.getsitepackages(base)
        break
else:
    folders = site.getsitepackages(prefixes)
if user:
    folders.insert(0, site.getusersitepackages())

found = {}
for distribution in metadata.distributions(path=[folder for folder in dict.fromkeys(folders) if folder]):
    name = distribution.metadata["Name"]
    if name:
        found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), str(distribution.version))
print(json.dumps({
    "implementation": {"cpython": "CPython", "pypy": "PyPy"}.get(sys.implementation.name, sys.implementation.name),
    "version": ".".join(map(str, sys.version_info[:3])) + ("" if sys.version_info[3] == "final" else
        "".join(map(str, ({"alpha": "a", "beta": "b", "candidate": "rc"}[sys.version_info[3]], sys.version_info[4])))),
    "packages": [{"name": name, "version": found[name]} for name in sorted(found)],
}))
