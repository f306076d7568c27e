"""The code in docs runs as it is written: Python page by page, C as far as a compiler's check."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import densa

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"), *ROOT.glob("csrc/*.md")]
    if "\n```python\n" in path.read_text("utf-8")
)
# Where the code of a page runs, if not here.
ELSEWHERE = {
    "README.md": "tests/build/test_docs.py",
    "docs/pretraining.md": "tests/models/test_pretraining.py",
    "docs/search.md": "tests/estimators/test_search_document.py",
}
L = densa.layers
PEERS = all(importlib.util.find_spec(name) for name in ("keras", "torch"))


def network():
    model = densa.Sequential([densa.Input((4,)), L.Dense(8, "relu"), L.Dense(2, "softmax")])
    model.compile("adam", "mse")
    return model


def of_serving():
    predictor = network().freeze()
    return {"densa": densa, "predictor": predictor, "old": predictor, "new": predictor}


def of_peers():
    pytest.importorskip("onnx", reason="needs the extra onnx")
    given = {"densa": densa, "model": network()}
    if PEERS:
        keras, torch = importlib.import_module("keras"), importlib.import_module("torch")
        given["keras_model"] = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        given["module"] = torch.nn.Sequential(torch.nn.Linear(784, 10), torch.nn.ReLU())
    return given


def of_gpu():
    if not str(densa.ops.ones(1).device).startswith("cuda"):
        pytest.skip("needs a GPU or its emulation: DENSA_TEST_DEVICE=cuda")
    return {"x": np.ones((3, 4), "float32")}


# What the code of a page takes for given.
GIVEN = {"docs/serving.md": of_serving, "docs/onnx.md": of_peers, "docs/gpu.md": of_gpu}


def blocks(page, language):
    text = (ROOT / page).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_every_page_with_code_is_run():
    assert {"docs/doctor.md", *GIVEN, *ELSEWHERE} <= set(PAGES)
    for page, test in ELSEWHERE.items():
        assert Path(page).name in (ROOT / test).read_text("utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_python_is_python(page):
    for code in blocks(page, "python"):
        compile(code, page, "exec")


@pytest.mark.filterwarnings("ignore:__array__ impl:DeprecationWarning")  # Keras' own
@pytest.mark.parametrize("page", [page for page in PAGES if page not in ELSEWHERE])
def test_pages_run_from_top_to_bottom(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = GIVEN.get(page, dict)()
    for code in blocks(page, "python"):
        if "keras_model" in code and not PEERS:
            continue
        exec(compile(code, page, "exec"), names)
        if page == "docs/gpu.md":  # what it makes is not built, and comes from two lines
            names["model"] = network()
        out = capsys.readouterr().out
        for expected in re.findall(r"^print\(.*\)  # (.*)$", code, re.MULTILINE):
            assert expected in out


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize("at", range(len(blocks("docs/embedding.md", "c"))))
def test_c_is_c(at, tmp_path):
    code = blocks("docs/embedding.md", "c")[at]
    if "#include <densa.h>" in code:  # statements within a function
        head, body = code.split("\n", 1)
        code = f"#include <stdio.h>\n{head}\nint f(float* x, float* y, int64_t rows) {{\n{body}\n"
        code += "  return (int)status;\n}\n"
    else:  # two forms of one function
        code = "#include <stdint.h>\n" + code.replace(
            "net_predict(const float* x0", "g(const float* x0"
        )
    (tmp_path / "block.c").write_text(code)
    include = f"-I{ROOT / 'csrc' / 'capi'}"
    command = ["cc", "-std=c99", "-fsyntax-only", "-Wall", "-Werror", include, "block.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
