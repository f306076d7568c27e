"""What the documents show runs: examples in docstrings, and the Python code of the README."""

import contextlib
import doctest
import importlib
import io
import pkgutil
import re
from pathlib import Path

import numpy
import pytest

import densa

ROOT = Path(__file__).resolve().parents[2]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
# What examples may use without importing it.
GLOBALS = {"densa": densa, "np": numpy}

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(densa.__path__, "densa.")
    if not module.name.endswith(("__main__", "._core"))
)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        failed = doctest.testmod(module, extraglobs=GLOBALS, optionflags=FLAGS).failed
    assert not failed, output.getvalue()


BLOCKS = re.findall(
    r"^```python\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
)


def test_readme_has_examples():
    assert len(BLOCKS) >= 2


@pytest.mark.parametrize("code", BLOCKS, ids=range(len(BLOCKS)))
def test_readme_examples(code, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    for expected in re.findall(r"^print\(.*\)  # (.*)$", code, re.MULTILINE):
        assert expected in capsys.readouterr().out
