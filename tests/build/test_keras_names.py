"""Every public name of Keras is in densa, or in a list that says why it is not.

keras_names.txt holds names alone; where Keras can be imported, it is compared with that, and the
arguments of what both have with densa's.
"""

import fnmatch
import importlib
import inspect
from pathlib import Path

import pytest

import densa

from . import keras_left_out as left_out

LINES = (Path(__file__).parent / "keras_names.txt").read_text("utf-8").splitlines()[1:]


def names():
    module = ""
    found = []
    for line in LINES:
        if not line.startswith(" "):
            module, line = line.split(":")
            module = module.removeprefix("keras").removeprefix(".")
        found += [f"{module}.{name}".removeprefix(".") for name in line.split()]
    return found


NAMES = names()
PATTERNS = [
    (pattern, reason)
    for table in (left_out.LEFT_OUT, left_out.NOT_YET)
    for reason, text in table.items()
    for pattern in text.split()
]


def has(path):
    """Attributes of instances do not show in a class; those that stay are set in __init__."""
    thing = densa
    for part in path.split("."):
        try:
            if isinstance(thing, type(densa)) and not hasattr(thing, part):
                importlib.import_module(f"{thing.__name__}.{part}")
            if not hasattr(thing, part):
                return False
        except ImportError:  # there is none, or it needs an extra
            return part in dir(thing)
        thing = getattr(thing, part)
    return True


def excused(name):
    return [pattern for pattern, _ in PATTERNS if fnmatch.fnmatchcase(name, pattern)]


def test_no_name_is_missing_without_a_reason():
    assert len(NAMES) > 1300
    missing = [name for name in NAMES if not has(name) and not excused(name)]
    assert not missing, f"neither in densa nor in keras_left_out.py: {missing}"


def test_reasons_are_of_names_that_are_missing():
    useless = [p for p, _ in PATTERNS if not any(fnmatch.fnmatchcase(n, p) and not has(n)
                                                  for n in NAMES)]  # fmt: skip
    assert not useless, f"patterns that excuse nothing: {useless}"


def test_the_document_names_every_reason():
    text = " ".join((Path(__file__).parents[2] / "docs/keras.md").read_text("utf-8").split())
    for reason in (*left_out.LEFT_OUT, *left_out.NOT_YET):
        assert reason.split(":")[0].lower() in text.lower(), reason


# ---- where Keras is installed --------------------------------------------------------------------

# Arguments of Keras' that densa does not take, and why.
ARGUMENTS = {
    "layers.Dense": {"lora_rank", "lora_alpha", "quantization_config"},  # language models
    "layers.EinsumDense": {"lora_rank", "lora_alpha", "gptq_unpacked_column_size",
                           "quantization_config"},
    "layers.Embedding": {"lora_rank", "lora_alpha", "quantization_config"},
    "layers.BatchNormalization": {"renorm", "renorm_clipping", "renorm_momentum"},
    **dict.fromkeys((f"{m}.{s}_step" for m in ("Model", "Sequential")
                     for s in ("predict", "test", "train")), {"state"}),  # of the backend JAX
    "Model.save_weights": {"max_shard_size"},  # a file is one
    "Sequential.save_weights": {"max_shard_size"},
    "KerasTensor": {"ragged"},
    "Variable": {"layout"},
    "utils.plot_model": {"splines"},  # Graphviz
    "utils.model_to_dot": {"splines"},
}  # fmt: skip


def test_the_list_is_keras():
    keras = pytest.importorskip("keras", reason="compares with Keras where it is installed")
    for name in NAMES:
        thing = keras
        for part in name.split("."):
            assert hasattr(thing, part) or not isinstance(thing, type(keras)), name
            thing = getattr(thing, part, None)
            if thing is None:
                break


def test_arguments_are_keras():
    keras = pytest.importorskip("keras", reason="compares with Keras where it is installed")
    wrong = []
    for name in NAMES:
        theirs, ours = keras, densa
        for part in name.split("."):
            theirs, ours = getattr(theirs, part, None), getattr(ours, part, None)
        if not callable(theirs) or not callable(ours):
            continue
        try:
            theirs, ours = inspect.signature(theirs), inspect.signature(ours)
        except (TypeError, ValueError):
            continue
        flexible = {p.kind for p in ours.parameters.values()} & {inspect.Parameter.VAR_KEYWORD}
        plain = [n for n, p in theirs.parameters.items() if p.kind == p.POSITIONAL_OR_KEYWORD]
        lacking = set(plain) - set(ours.parameters) - ARGUMENTS.get(name, set())
        order = [n for n in ours.parameters if n in plain]
        if (lacking and not flexible) or order != [n for n in plain if n in order]:
            wrong.append((name, str(theirs), str(ours)))
    assert not wrong, "\n".join(map(str, wrong))
