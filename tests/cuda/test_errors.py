"""What a user is told where a GPU cannot be used: the emulated one plays each machine."""

import os
import subprocess
import sys

import pytest

if not os.environ.get("DENSA_CUDA_EMULATED"):
    pytest.skip("only the emulated GPU can be ill", allow_module_level=True)

SET = (
    "import densa; densa.set_device('cuda'); "
    "ones = lambda *shape: densa._core.full(list(shape), 1.0); "
)


def last_line(code, **environment):
    """What a program of its own ends with."""
    settings = {k: v for k, v in os.environ.items() if k != "DENSA_TEST_DEVICE"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=settings | {f"DENSA_EMULATION_{k}": str(v) for k, v in environment.items()},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return (done.stdout + done.stderr).strip().splitlines()[-1]


def test_no_driver():
    line = last_line(SET, DRIVER=0)
    assert line.startswith("RuntimeError: no GPU can be used: this machine has no NVIDIA driver")


def test_a_driver_that_is_too_old():
    line = last_line(SET, DRIVER=12080)
    assert line == (
        "RuntimeError: no GPU can be used: the NVIDIA driver knows CUDA 12.8, "
        "densa was built with 13.0; install a newer driver"
    )


def test_no_device():
    line = last_line(SET, DEVICES=0)
    assert line.startswith("RuntimeError: no GPU can be used: the NVIDIA driver sees no GPU")


@pytest.mark.parametrize("capability", ["5.0", "6.1", "7.0"])
def test_a_capability_without_code(capability):
    line = last_line(SET, CAPABILITY=capability)
    assert line.startswith(
        f"RuntimeError: the GPU (emulated GPU) has compute capability {capability},"
    )
    assert "machine code for 7.5, 8.0, 8.6, 8.9, 9.0 and PTX for GPUs from 7.5, 9.0 on" in line


@pytest.mark.parametrize("capability", ["7.5", "8.7", "9.0", "12.1"])
def test_a_capability_with_code(capability):
    code = SET + "print((ones(2) + 1).numpy())"
    assert last_line(code, CAPABILITY=capability) == "[2. 2.]"


@pytest.mark.parametrize(
    "code",
    [
        "import densa; densa.set_device('cuda:7')",
        SET + "ones(2).to('cuda:7')",
        SET + "densa.Variable(1.0, device='cuda:7')",
    ],
)
def test_a_device_that_is_not_there(code):
    line = last_line(code, DEVICES=2)
    assert line.startswith("ValueError: ")
    assert "device 'cuda:7': there are 2 GPUs, numbered from 0" in line


def test_memory_that_is_not_there():
    code = SET + "x = ones(250, 1000); y = ones(300, 1000)"
    line = last_line(code, MEMORY=2_000_000, SHARE=0)  # blocks that are kept are a little larger
    assert line.startswith("MemoryError: out of memory on cuda:0: 1200000 bytes (")
    assert "1000000 bytes (" in line.partition("are free of")[0]  # free
    assert "are free of 2000000 bytes (" in line
    assert "densa holds 1000000 bytes (" in line
    assert "and had 0 bytes (" in line


def test_a_model_goes_on_where_memory_was_short():
    code = SET + (
        "\nx = ones(100, 1000)"
        "\ntry: ones(600, 1000)"
        "\nexcept MemoryError: print(float((x + 1).sum()))"
    )
    assert last_line(code, MEMORY=2_000_000) == "200000.0"


def test_pinned_memory_that_is_not_there():
    code = SET + (
        "\nimport numpy as np"
        "\nm = densa.Sequential([densa.layers.Dense(2)]); m.compile('sgd', 'mse')"
        "\nm.fit(np.ones((64, 300), 'float32'), np.ones((64, 2), 'float32'), verbose=0)"
    )
    os.environ["DENSA_GPU_RESIDENT_BYTES"] = "0"
    try:
        line = last_line(code, PINNED=30_000)
    finally:
        del os.environ["DENSA_GPU_RESIDENT_BYTES"]
    assert line.startswith("MemoryError: out of pinned memory of the host for cuda:0: 76800 bytes")
    assert "densa holds 0 bytes" in line


@pytest.mark.parametrize(
    "ask",
    ["y.numpy()", "densa.ops.tanh(y)", "densa._core.synchronize('cuda')", "ones(2)"],
)
def test_a_launch_that_broke_the_gpu(ask):
    """CUDA tells of it at the next call, whatever that is; the message names what came before."""
    code = SET + f"x = ones(3); densa.ops.exp(x); y = densa.ops.softmax(x); {ask}"
    line = last_line(code, BREAK="softmax")
    assert line.startswith("RuntimeError: cuda: ")
    assert "an illegal memory access was encountered (cudaErrorIllegalAddress)" in line
    assert "launched since the last wait: fill, exp, softmax" in line
    assert line.endswith("begin a new one")


def test_only_the_latest_launches_are_named():
    code = SET + "x = ones(3)\nfor _ in range(9): x = densa.ops.exp(x)\n"
    line = last_line(code + "densa.ops.softmax(x).numpy()", BREAK="softmax")
    assert "the latest were exp, exp, exp, exp, exp, softmax." in line


@pytest.mark.parametrize("wait", ["x.numpy()", "densa._core.synchronize('cuda')"])
def test_launches_that_are_known_to_be_done_are_not_named(wait):
    code = SET + f"x = densa.ops.tanh(ones(3)); {wait}; densa.ops.softmax(densa.ops.exp(x)).numpy()"
    line = last_line(code, BREAK="softmax")
    assert "launched since the last wait: exp, softmax." in line


TWO = (
    "import densa, numpy as np; densa.set_device('cuda:0'); x = np.ones((4, 3), 'float32'); "
    "model = densa.Sequential([densa.Input((3,)), densa.layers.Dense(2)], name='net'); "
)


def test_layers_built_on_two_devices():
    line = last_line(
        TWO + "densa.set_device('cuda:1'); model.add(densa.layers.Dense(2)); "
        "model.compile('sgd', 'mse'); model.fit(x, x[:, :2], verbose=0)",
        DEVICES=2,
    )
    assert line == (
        "ValueError: The model's variable 'net/dense_1/kernel' lies on cuda:1, but "
        "'net/dense/kernel' on cuda:0. Build all layers of a model under one densa.set_device."
    )


@pytest.mark.parametrize("device", ["cuda:1", "cpu"])
def test_a_model_compiled_for_another_device(device):
    fit = "model.compile('adam', 'mse', metrics=['mae']); model.fit(x, x[:, :2], verbose=0); "
    line = last_line(TWO + f"densa.set_device('{device}'); " + fit, DEVICES=2)
    assert line == (
        "ValueError: The model's variables lie on cuda:0 ('net/dense/kernel'), but those of its "
        f"metric 'loss' on {device}: densa.set_device has been called between building the model "
        "and compile or fit. To run it where it lies, call densa.set_device('cuda:0') and compile "
        f"it again, with new metrics; to run it on {device}, build it anew there."
    )
    heeded = (
        TWO + f"densa.set_device('{device}')\ntry:\n  {fit}\nexcept ValueError:\n"
        f"  densa.set_device('cuda:0'); {fit}\nprint(model.predict(x, verbose=0).shape)"
    )
    assert last_line(heeded, DEVICES=2) == "(4, 2)"


def test_an_array_beside_a_tensor_of_the_second_gpu():
    line = last_line(
        "import densa, numpy as np; densa.set_device('cuda:0'); "
        "x = densa.ops.ones(2).to('cuda:1'); y = x + np.ones(2, 'float32'); "
        "print(y.device, densa.ops.where(y > 1, y, [5.0, 5.0]).device)",
        DEVICES=2,
    )
    assert line == "cuda:1 cuda:1"
