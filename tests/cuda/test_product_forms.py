"""Products on tensor cores: each form in a process, which reads its environment once."""

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

# Runs in a process of its own and prints, for each case, the largest error as a share of the sum of
# the products' sizes, and whether the four layouts give the same bits.
SCRIPT = """
import json
import numpy as np
import densa
from densa.tensor import apply

densa.set_device("cuda")
rng = np.random.default_rng(3)

def numbers(*shape):
    return rng.standard_normal(shape).astype("float32")

def product(a, b, **attrs):
    return apply("matmul", densa.asarray(a), densa.asarray(b), **attrs).to("cpu").numpy()

def swapped(x):
    return np.ascontiguousarray(np.swapaxes(x, -1, -2))

def error(y, a, b):
    a, b = a.astype("f8"), b.astype("f8")
    return float(np.max(np.abs(y - a @ b) / (np.abs(a) @ np.abs(b))))

out = {}
for m, k, n in [(17, 17, 17), (64, 64, 64), (70, 1000, 65), (33, 250, 130), (1409, 20, 1411)]:
    a, b = numbers(m, k), numbers(k, n)
    y = product(a, b)
    same = (
        np.array_equal(product(swapped(a), b, transpose_a=True), y)
        and np.array_equal(product(a, swapped(b), transpose_b=True), y)
        and np.array_equal(product(swapped(a), swapped(b), transpose_a=True, transpose_b=True), y)
    )
    out[f"{m} {k} {n}"] = [error(y, a, b), bool(same)]

a, b = numbers(3, 1, 40, 32), numbers(2, 32, 24)
out["stacks"] = [error(product(a, b), a, b), True]

x, w, bias = numbers(40, 50), numbers(50, 60), numbers(60)
y = apply("dense", x, w, bias, activation="relu").to("cpu").numpy()
out["dense"] = [float(np.abs(y - np.maximum(x.astype("f8") @ w + bias, 0)).max() / 50), True]

a, b = numbers(30, 40), numbers(40, 30)
a[3, 5], b[7, 9] = np.nan, np.inf
y = product(a, b)
rest = np.delete(np.delete(y, 3, axis=0), 9, axis=1)
out["nan"] = [0.0, bool(np.isnan(y[3]).all() and np.isinf(y[4, 9]) and np.isfinite(rest).all())]
a, b = rng.random((40, 40)), rng.random((40, 40))
out["float64"] = [error(product(a, b), a, b), True]
print(json.dumps(out))
"""

START = SCRIPT[: SCRIPT.index("out = {}")]


# Numbers of 16 bits, as a layer under a mixed policy hands them over. The error is that of float32
# sums; without the rounding the numbers would be float32 and the product of `mma` far from theirs.
HALVES = """
def halves(kind, *shape):
    return apply("round_" + kind, densa.asarray(numbers(*shape))).to("cpu").numpy()

out = {}
for kind in ["bfloat16", "float16"]:
    shapes = [(17, 17, 17), (32, 784, 300), (70, 1000, 65), (130, 250, 20), (1409, 20, 1411)]
    shapes += [(129, 64, 257), (65, 200, 1000)]
    for m, k, n in shapes:
        a, b = halves(kind, m, k), halves(kind, k, n)
        y = product(a, b, precision=kind)
        left, right = swapped(a), swapped(b)
        both = product(left, right, transpose_a=True, transpose_b=True, precision=kind)
        same = (
            np.array_equal(product(left, b, transpose_a=True, precision=kind), y)
            and np.array_equal(product(a, right, transpose_b=True, precision=kind), y)
            and np.array_equal(both, y)
            and np.array_equal(product(a, b, precision=kind), y)
        )
        out[f"{kind} {m} {k} {n}"] = [error(y, a, b), bool(same)]
    a, b = halves(kind, 3, 1, 100, 72), halves(kind, 2, 72, 80)
    out[f"{kind} stacks"] = [error(product(a, b, precision=kind), a, b), True]
    x, w, bias = halves(kind, 140, 70), halves(kind, 70, 130), numbers(130)
    for activation in ["relu", "softplus"]:
        y = apply("dense", densa.asarray(x), densa.asarray(w), densa.asarray(bias),
                  activation=activation, precision=kind).to("cpu").numpy()
        z = x.astype("f8") @ w + bias
        want = np.maximum(z, 0) if activation == "relu" else np.logaddexp(z, 0)
        out[f"{kind} {activation}"] = [float(np.abs(y - want).max() / 50), True]

# What was not rounded before shows whether tensor cores ran: they round it, float32 does not.
for name, rows in [("rounded", 40), ("rounded wide", 80)]:
    a, b = numbers(rows, 64), numbers(64, 80)
    out[name] = [0.0, error(product(a, b, precision="bfloat16"), a, b) > 2.0**-14]
print(json.dumps(out))
"""


def run(form, script=SCRIPT, variable="DENSA_CUDA_MATMUL"):
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, variable: form},
        capture_output=True,
        text=True,
        timeout=300,
    )


def results(form):
    done = run(form)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# The bound of one product, which that of a sum cannot pass by more than float32's own rounding:
# factors of 11 bits; three products of such halves and what tensor cores cut off of eight sums;
# float32.
@pytest.mark.parametrize(
    ("form", "least", "most"),
    [("tf32", 2**-15, 2**-10), ("tf32x3", 0, 2**-20), ("exact", 0, 2**-20)],
)
def test_errors(form, least, most):
    found = results(form)
    for case, (error, right) in found.items():
        assert right, f"{form}, {case}"
        assert error <= (1e-15 if case == "float64" else most), f"{form}, {case}: {error}"
    assert max(error for error, _ in found.values()) >= least, (
        f"{form} is more exact than it can be"
    )


# The bound is float32's: a sum of k products loses at most a bit in each addition, and the largest
# of these errors in fact stay far below k of them.
@pytest.mark.parametrize("form", ["exact", "mma", "wgmma"])
def test_halves(form):
    done = run(form, START + HALVES, "DENSA_CUDA_MATMUL_16BIT")
    if "needs compute capability" in done.stderr:
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    # What is too small for wgmma is a product of mma.
    assert found.pop("rounded") == found.pop("rounded wide") == [0.0, form != "exact"]
    for case, (error, right) in found.items():
        assert right, f"{form}, {case}"
        assert error <= 2**-19, f"{form}, {case}: {error}"


def test_unknown_name_of_16_bits():
    done = run("fast", START + HALVES, "DENSA_CUDA_MATMUL_16BIT")
    assert done.returncode != 0
    assert "DENSA_CUDA_MATMUL_16BIT is 'fast'; known are exact, mma, wgmma" in done.stderr


@pytest.mark.parametrize("capability", ["8.0", "10.0"])
def test_wgmma_is_for_one_gpu(capability, monkeypatch):
    """Code for sm_90a runs on that alone: no falling back in silence to what was not asked for."""
    if "DENSA_CUDA_EMULATED" not in os.environ:
        pytest.skip("an emulated GPU can be any")
    monkeypatch.setenv("DENSA_EMULATION_CAPABILITY", capability)
    done = run("wgmma", START + HALVES, "DENSA_CUDA_MATMUL_16BIT")
    assert done.returncode != 0
    assert (
        "DENSA_CUDA_MATMUL_16BIT=wgmma needs compute capability 9.0 and no other; GPU 0"
        f" (emulated GPU) has {capability}. Use exact" in done.stderr
    )


def test_unknown_name():
    done = run("fast")
    assert done.returncode != 0
    assert "DENSA_CUDA_MATMUL is 'fast'; known are exact, tf32x3, tf32" in done.stderr
    assert "ValueError" in done.stderr
