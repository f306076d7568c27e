"""Which GPUs a build makes code for where it is not told: those that the machine has."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KNOWN = "75;80;86;89;90a;100;120"

pytestmark = pytest.mark.skipif(
    os.name != "posix" or shutil.which("cmake") is None, reason="needs cmake and a shell"
)


def gpus_here(folder, says, status=0):
    """What densa_gpus_here finds where nvidia-smi prints `says`; None: there is no such command."""
    script = folder / "here.cmake"
    script.write_text(
        f'include("{ROOT}/cmake/gpus_here.cmake")\n'
        f'densa_gpus_here("{KNOWN}" here)\nmessage("${{here}}")\n'
    )
    # Nothing but the command is on the PATH, so that a real one is not found.
    commands = folder / "bin"
    commands.mkdir()
    if says is not None:
        fake = commands / "nvidia-smi"
        lines = "".join(f"echo '{line}'\n" for line in says)
        fake.write_text(f"#!/bin/sh\n{lines}exit {status}\n")
        fake.chmod(0o755)
    ran = subprocess.run(
        [shutil.which("cmake"), "-P", script],
        env={**os.environ, "PATH": str(commands)},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stderr.strip()


@pytest.mark.parametrize(
    ("capabilities", "architectures"),
    [
        (["9.0"], "90a"),
        (["8.6", "8.6", "12.0"], "86;120"),
        (["8.7"], "86"),
        (["10.3"], "100"),
        (["12.1", "7.5"], "120;75"),
        (["6.1"], ""),
        ([], ""),
    ],
)
def test_of_each_gpu_the_newest_code_of_its_generation(tmp_path, capabilities, architectures):
    assert gpus_here(tmp_path, capabilities) == architectures


def test_none_without_a_driver(tmp_path):
    assert gpus_here(tmp_path, None) == ""


def test_none_where_the_driver_fails(tmp_path):
    assert gpus_here(tmp_path, ["driver 8.0 has failed"], status=9) == ""
