"""Two GPUs in one process: each thread of the host may work on either."""

import json
import os
import subprocess
import sys

import pytest

# Prints, for models on cuda:0 and cuda:1, what training and eager ops give: one after the other in
# the main thread, then by two threads at once, each with both devices in turn.
SCRIPT = """
import json
import threading
import numpy as np
import densa

rng = np.random.default_rng(0)
x, y = rng.normal(size=(64, 20)).astype("f4"), rng.integers(0, 3, 64)

def build(device):
    densa.set_device(device)
    densa.utils.set_random_seed(1)
    model = densa.Sequential([densa.Input((20,)), densa.layers.Dense(300, "relu"),
                              densa.layers.Dropout(0.2), densa.layers.Dense(3)])
    model.compile("adam", densa.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model

def work(device, model, out):
    loss = model.fit(x, y, batch_size=24, epochs=2, verbose=0, shuffle=False).history["loss"]
    a = densa.asarray(x).to(device)
    b = (a.T @ a + a[0]).sum()
    assert model.layers[0].kernel.device == b.device == device
    back = a.to("cuda:0").to("cuda:1").to("cpu").numpy()
    assert np.array_equal(back, x)
    out[device] = [loss, b.to("cpu").tolist(), model.predict(x, verbose=0).sum(0).tolist()]

def in_thread(devices, models, out, errors):
    try:
        for device in devices:
            work(device, models[device], out)
    except BaseException as error:
        errors.append(repr(error))

devices = ["cuda:0", "cuda:1"]
alone, together, errors = {}, {}, []
for device in devices:
    work(device, build(device), alone)
models = {device: build(device) for device in devices}
densa.set_device("cpu")
threads = [threading.Thread(target=in_thread, args=([d], models, together, errors))
           for d in devices]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
again = {}
models = {device: build(device) for device in devices}
densa.set_device("cpu")
in_turn = threading.Thread(target=in_thread, args=(devices[::-1], models, again, errors))
in_turn.start()
in_turn.join()
print(json.dumps([alone, together, again, errors]))
"""


@pytest.mark.parametrize("order", ["0", "1", "2"])
def test_threads_on_two_gpus(order):
    if "DENSA_CUDA_EMULATED" not in os.environ:
        pytest.skip("needs two GPUs; the emulation plays them")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "DENSA_EMULATION_DEVICES": "2", "DENSA_EMULATION_ORDER": order},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    alone, together, again, errors = json.loads(done.stdout)
    assert not errors
    assert alone["cuda:0"] == alone["cuda:1"]
    assert together == again == alone
