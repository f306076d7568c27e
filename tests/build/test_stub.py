"""The golden stub `_core.pyi` is that of the built module, so a change of signatures is seen."""

import importlib.util
from pathlib import Path

import densa._core

ROOT = Path(__file__).resolve().parents[2]


def load_tool():
    spec = importlib.util.spec_from_file_location("make_stub", ROOT / "tools" / "make_stub.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_stub_is_up_to_date():
    tool = load_tool()
    golden = tool.STUB.read_text(encoding="utf-8")
    assert tool.make_stub(densa._core) == golden, "rebuild it: python tools/make_stub.py"


def test_every_name_of_the_module_is_in_the_stub():
    golden = load_tool().STUB.read_text(encoding="utf-8")
    names = [name for name in vars(densa._core) if not name.startswith("__")]
    missing = [n for n in names if f"{n}:" not in golden and f" {n}(" not in golden]
    assert not missing
