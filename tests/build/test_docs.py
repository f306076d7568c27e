"""What the documents show runs: examples in docstrings, and the Python code of the README."""

import contextlib
import doctest
import importlib
import inspect
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


# Modules whose examples need a library that users may not have.
NEEDS = {
    "densa.onnx": "onnx",
    "densa.convert.keras_models": "keras",
    "densa.convert.torch_modules": "torch",
    "densa.sklearn.": "sklearn",
    "densa.viz": "matplotlib",
}


@pytest.fixture(autouse=True)
def no_policy_stays():
    """Examples set one for all layers; other tests want none."""
    yield
    densa.config.set_dtype_policy(None)


@pytest.mark.filterwarnings("ignore:__array__ impl:DeprecationWarning")  # Keras' own
@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name, tmp_path, monkeypatch):
    for start, library in NEEDS.items():
        if name.startswith(start):
            pytest.importorskip(library, reason=f"needs the extra {library}")
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        failed = doctest.testmod(module, extraglobs=GLOBALS, optionflags=FLAGS).failed
    assert not failed, output.getvalue()


# Modules whose every public name explains itself.
EXPLAINED = [
    densa.activations,
    densa.callbacks,
    densa.initializers,
    densa.layers,
    densa.losses,
    densa.metrics,
    densa.ops,
    densa.optimizers,
    densa.optimizers.schedules,
]
CALLABLES = [
    pytest.param(getattr(module, name), id=f"{module.__name__}.{name}")
    for module in EXPLAINED
    for name in module.__all__
    if callable(getattr(module, name))
]


def test_every_module_is_looked_at():
    assert {id.split(".")[1] for _, _, id in CALLABLES} == {
        m.__name__.split(".")[1] for m in EXPLAINED
    }
    assert len(CALLABLES) > 350


@pytest.mark.parametrize("thing", CALLABLES)
def test_public_names_have_examples_that_run(thing, tmp_path, monkeypatch):
    """Wrapped functions are not found by their module, so each one is looked up here."""
    monkeypatch.chdir(tmp_path)
    finder = doctest.DocTestFinder(recurse=False)
    (example,) = finder.find(thing, thing.__name__, module=False, globs=dict(GLOBALS))
    assert example.examples, "no example"
    output = io.StringIO()
    result = doctest.DocTestRunner(optionflags=FLAGS).run(example, out=output.write)
    assert result.attempted == len(example.examples)
    assert not result.failed, output.getvalue()


@pytest.mark.parametrize("thing", CALLABLES)
def test_public_names_say_what_they_take_and_give(thing):
    text = inspect.cleandoc(thing.__doc__ or "")  # its own, not that of its base
    summary = text.split("\n\n")[0]
    assert summary.endswith((".", "`", ":")), summary
    taken = [
        parameter.name
        for parameter in inspect.signature(thing).parameters.values()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    arguments = re.search(r"^Args:\n((?:    .*\n?|\n(?=    ))*)", text, re.MULTILINE)
    told = arguments.group(1) if arguments else ""
    missing = [name for name in taken if not re.search(rf"^    {name}: ", told, re.MULTILINE)]
    assert not missing, f"Args does not tell of {missing}"
    if not inspect.isclass(thing):
        gives = "Returns:" in text or summary.startswith(("Return ", "Tell "))
        assert gives, "neither a Returns section nor a first sentence that says it"


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
