"""The golden stub `_core.pyi` is that of the built module, so a change of signatures is seen."""

import subprocess
import sys
from pathlib import Path

import densa._core

ROOT = Path(__file__).resolve().parents[2]
STUB = ROOT / "python" / "densa" / "_core.pyi"


def test_stub_is_up_to_date():
    command = [sys.executable, str(ROOT / "tools" / "make_stub.py"), "--check"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_name_of_the_module_is_in_the_stub():
    golden = STUB.read_text(encoding="utf-8")
    names = [name for name in vars(densa._core) if not name.startswith("__")]
    missing = [n for n in names if f"{n}:" not in golden and f" {n}(" not in golden]
    assert not missing
