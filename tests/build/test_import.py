"""`import densa` stays light: which modules it loads, and that NumPy is all it needs."""

import importlib.resources
import json
import subprocess
import sys
from pathlib import Path

import pytest

# Loading any of these would cost milliseconds that a user of one function should not pay.
HEAVY = {
    "argparse", "asyncio", "concurrent.futures", "csv", "doctest", "email", "gzip",
    "http.client", "logging", "lzma", "multiprocessing", "pdb", "pydoc", "socket", "sqlite3",
    "ssl", "subprocess", "tempfile", "unittest", "urllib.request", "xml", "zipfile",
    "densa.cli",
}  # fmt: skip

ANSWER = """
import json, sys
import numpy
before = set(sys.modules)
import densa
# Attributes are loaded when they are first asked for; a program asks for these.
densa.Sequential, densa.Model, densa.Input, densa.layers.Dense, densa.optimizers.Adam
densa.losses.Loss, densa.metrics.Mean, densa.callbacks.Callback, densa.ops.relu, densa.utils
print(json.dumps([sorted(before), sorted(set(sys.modules) - before)]))
"""


@pytest.fixture(scope="module")
def modules():
    """Modules loaded by `import numpy`, and those that `import densa` and its use add."""
    return loaded("")


def loaded(more):
    code = ANSWER.replace("import densa\n", f"import densa\n{more}\n")
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    before, added = json.loads(run.stdout)
    return set(before), set(added)


def test_no_heavy_module(modules):
    _, added = modules
    assert not added & HEAVY


@pytest.mark.parametrize("more", ["", "for name in densa.__all__: getattr(densa, name)"])
def test_only_numpy_and_the_standard_library(more):
    _, added = loaded(more)
    roots = {name.split(".")[0] for name in added}
    allowed = {"densa", "numpy"} | set(sys.stdlib_module_names)
    # The finder of an editable install is loaded before any import of ours.
    strangers = {name for name in roots - allowed if not name.startswith(("_densa", "__"))}
    assert not strangers


def test_no_warning_at_import():
    subprocess.run([sys.executable, "-W", "error", "-c", "import densa"], check=True)


def test_types_are_for_users_too():
    package = importlib.resources.files("densa")
    assert (package / "py.typed").is_file()
    assert (package / "_core.pyi").is_file()


def test_no_folder_of_tests_hides_a_library():
    """pytest has tests/ on the path, so that tests/onnx would make `import onnx` work without it."""
    folders = {path.name for path in Path(__file__).parents[1].iterdir()}
    libraries = "keras matplotlib onnx onnxruntime optuna orjson sklearn tensorboard torch uvicorn"
    assert not folders & set(libraries.split())
