"""What the tests of the C library share."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(command, **options):
    """The finished process; an assertion shows what it said where it failed."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done
