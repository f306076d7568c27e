"""Everything public answers wrong arguments by a ValueError or TypeError that tells what came."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import densa

MODULES = "activations callbacks constraints initializers layers losses metrics models ops"
MODULES += " optimizers optimizers.schedules random regularizers saving utils viz"


@pytest.mark.cpu_only("the sweep calls what is the same on all devices")
@pytest.mark.parametrize("module", MODULES.split())
def test_wrong_arguments(module):
    """In a process of its own, which a crash would end."""
    script = Path(__file__).with_name("wrong_arguments.py")
    path = os.pathsep.join([str(Path(densa.__file__).parents[1]), *sys.path])
    run = subprocess.run(
        [sys.executable, script, module],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout == "done True\n", (
        f"{run.stdout.count(chr(10)) - 1} answers: {run.stdout[:3000]}"
    )


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: densa.ops.concatenate(3), r"^concatenate: .*Received: xs=3"),
        (lambda: densa.ops.sum([1.0], axis="x"), "^sum: .*Received: x=.*axis='x'"),
        (lambda: densa.activations.relu(object()), "^relu: .*Received: x=<object"),
        (lambda: densa.losses.MeanSquaredError()(None, [1.0]), "MeanSquaredError: .*y_true=None"),
        (
            lambda: densa.layers.BatchNormalization(name="b")(None),
            "BatchNormalization 'b': .*None",
        ),
        (lambda: densa.layers.Dense(2)([[1.0, 2.0], [3.0]]), "cannot make an array of the lists"),
        (lambda: densa.ops.zeros((2,), dtype=3), "3 is no dtype.*a name such as 'float32'"),
        (lambda: densa.models.load_model(None), "`filepath` must be a path.*received None"),
        (lambda: densa.optimizers.SGD(name=5), "SGD: `name` must be a text or None; received 5"),
        (lambda: densa.ops.sum([1.0], axis=0.5), "^sum: .*Received: x=.*axis=0.5"),
        (lambda: densa.ops.unique([1.0], axis=3), "unique: axis 3 is out of range"),
        (lambda: densa.ops.det([[1.0], [2.0, 3.0]]), "^det: .*Received: x="),
        (lambda: densa.ops.cond([1, 2], int, int), "cond: `pred` must be one boolean; received"),
        (lambda: densa.ops.map(3, [1.0]), "map: `f` must be a function; received 3"),
        (lambda: densa.ops.fori_loop(0, 2.5, max, 0), "`upper` must be a whole number; received 2"),
        (
            lambda: densa.layers.Dense(2, activation="rleu"),
            "^Unknown activation function: 'rleu'. Did you mean 'relu'",
        ),
        (
            lambda: densa.layers.BatchNormalization(axis=7)(np.ones((2, 3))),
            "^Layer 'batch_norm.*: axis=7 does not fit an input of rank 2",
        ),
        (lambda: densa.layers.Dropout([0.5]), "`rate` must be a number.*received .0.5."),
    ],
)
def test_what_came_is_told(call, words):
    with pytest.raises((TypeError, ValueError), match=words):
        call()


def test_errors_of_ones_own_code_stay_what_they_are():
    class Own(densa.layers.Layer):
        def call(self, inputs):
            return int("x")

    with pytest.raises(ValueError, match="^invalid literal for int.. with base 10: 'x'$"):
        Own()([[1.0]])
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        densa.models.clone_model(
            densa.Sequential([densa.Input((2,)), densa.layers.Dense(1)]),
            clone_function=lambda layer: layer.nothing,
        )
