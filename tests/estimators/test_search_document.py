"""The code of docs/search.md: scikit-learn's and Optuna's searches over networks (A13, A15)."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

import densa

pytest.importorskip("sklearn", reason="needs the extra sklearn")

DOCS = Path(__file__).resolve().parents[2] / "docs" / "search.md"


@pytest.mark.cpu_only("its trainings take long in emulation")
def test_the_document_runs(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    blocks = re.findall(r"^```python\n(.*?)^```", DOCS.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 6
    for code in blocks:
        if "import optuna" in code and not importlib.util.find_spec("optuna"):
            continue
        exec(compile(code, str(DOCS), "exec"), names)
        out = capsys.readouterr().out
        for expected in re.findall(r"^print\(.*\)  # (.*)$", code, re.MULTILINE):
            assert expected in out
    assert isinstance(names["best"], densa.models.MLP)
    assert isinstance(names["again"], densa.models.MLP)
