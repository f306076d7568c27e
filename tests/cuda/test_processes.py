"""A GPU and processes: children by fork, and memory of which each buffer has its own."""

import json
import os
import subprocess
import sys

import pytest

import densa

_default = densa.get_device()
try:
    densa.set_device("cuda")
except RuntimeError as why:
    pytest.skip(str(why), allow_module_level=True)
finally:
    densa.set_device(_default)


def run(script, **environment):
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


FORK = """
import gc, os
import numpy as np
import densa

densa.set_device("cuda")
x = densa.asarray(np.ones((2, 3), "float32"))
y = x + 1

def child(*calls):
    if (pid := os.fork()) == 0:
        status = 1
        try:
            for call in calls:
                try:
                    call()
                except RuntimeError as error:
                    assert "forked" in str(error) and "spawn" in str(error), error
                else:
                    raise AssertionError("no error")
            del globals()["y"]  # memory that is the parent's
            gc.collect()
            densa.set_device("cpu")
            assert (densa.asarray(np.ones(3, "float32")) + 1).numpy().sum() == 6
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0

child(
    lambda: x.numpy(),
    lambda: x + 1,
    lambda: densa.asarray(np.ones(3, "float32")),
    lambda: densa.set_device("cuda"),
)
assert y.numpy().sum() == 12  # nothing has happened to the parent
print("whole")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_is_told_to_start_afresh():
    assert run(FORK) == "whole\n"


FORK_FIRST = """
import os
import numpy as np
import densa

if (pid := os.fork()) == 0:
    densa.set_device("cuda")
    os._exit(int((densa.asarray(np.ones(3, "float32")) + 1).numpy().sum() != 6))
assert os.waitpid(pid, 0)[1] == 0
print("whole")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_may_be_the_first_to_use_a_gpu():
    assert run(FORK_FIRST) == "whole\n"


TRAIN = """
import json
import numpy as np
import densa
from densa.device import _cuda

densa.set_device("cuda")
densa.utils.set_random_seed(0)
layers = densa.layers
model = densa.Sequential(
    [densa.Input((9,)), layers.Dense(300, "gelu"), layers.BatchNormalization(), layers.Dropout(0.2),
     layers.Dense(5)]
)
model.compile("adamw", "mse")
rng = np.random.default_rng(0)
x, y = rng.normal(size=(90, 9)).astype("f4"), rng.normal(size=(90, 5)).astype("f4")
model.fit(x, y, batch_size=32, epochs=2, verbose=0)
out = {"predictions": model.predict(x[:4], verbose=0).tolist(),
       "weights": [w.tolist() for w in model.get_weights()]}
counts = getattr(_cuda(), "counts", dict)()
print(json.dumps([out, counts.get("allocations", 0)]))
"""


def test_each_buffer_can_be_an_allocation_of_its_own():
    alone, many = json.loads(run(TRAIN, DENSA_CUDA_NO_CACHE="1"))
    shared, few = json.loads(run(TRAIN, DENSA_CUDA_NO_CACHE="0"))
    assert alone == shared
    if few:  # the emulation counts
        assert many > few + 10
