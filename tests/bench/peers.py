"""Other tools in a fresh state, for the scripts that measure beside them."""

import os
import shutil
import subprocess
from pathlib import Path

from clock import ENVIRONMENT, program


class Workplace:
    """A folder that is made anew before each run, with copies of the same inputs in it, so that every
    tool begins alike. All of this is outside of what is measured."""

    def __init__(self, folder, *inputs):
        self.folder, self.inputs = Path(folder) / "work", inputs

    def fresh(self, *setup):
        """Gives a function that prepares a run: the folder, its inputs, then the commands of
        `setup` in it."""
        def prepare():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir()
            for path in self.inputs:
                copy = shutil.copytree if path.is_dir() else shutil.copyfile
                copy(path, self.folder / path.name)
            for command in setup:
                subprocess.run([str(word) for word in command], cwd=self.folder, env=ENVIRONMENT,
                               check=True, stdout=subprocess.DEVNULL)
            # Written back now, so that the disk is quiet when it counts.
            os.sync()
        return prepare


def dvc_repository(dvc):
    """The commands that make an empty repository of git and DVC. DVC's own state lies in the folder
    too, so that no run knows what an earlier one hashed."""
    git = program("git")
    return [
        (git, "init", "-q"),
        (git, "config", "user.name", "Bench"),
        (git, "config", "user.email", "bench@example.org"),
        (dvc, "init", "-q"),
        (dvc, "config", "core.analytics", "false"),
        (dvc, "config", "core.check_update", "false"),
        (dvc, "config", "core.autostage", "false"),
        (dvc, "config", "--local", "core.site_cache_dir", ".dvc/tmp/site"),
        (git, "commit", "-q", "-m", "Begin"),
    ]


def steps(*commands):
    """Several commands as one process: each must succeed."""
    lines = [" ".join(f"'{word}'" for word in command) for command in commands]
    return program("sh"), "-ec", " && ".join(lines)
