"""densa.config.set_matmul_precision: which form a product of float32 takes, and how exact it is."""

import os
import subprocess
import sys

import numpy as np
import pytest

import densa
from densa.tensor import apply

NAMES = ["highest", "high", "medium"]


@pytest.fixture
def gpu():
    device, before = densa.get_device(), densa.config.matmul_precision()
    try:
        densa.set_device("cuda")
    except RuntimeError as error:
        pytest.skip(f"no GPU: {error}")
    densa.config.set_matmul_precision("highest")
    yield
    densa.config.set_matmul_precision(before)
    densa.set_device(device)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f4")


def network():
    densa.utils.set_random_seed(4)
    model = densa.Sequential(
        [densa.Input((40,)), densa.layers.Dense(300, "relu"), densa.layers.Dense(40)]
    )
    model.compile("sgd", "mse")
    return model


def errors(product):
    a, b = numbers(70, 200), numbers(200, 65, seed=1)
    exact = a.astype("f8") @ b
    out = {}
    for name in NAMES:
        densa.config.set_matmul_precision(name)
        out[name] = np.max(np.abs(product(a, b) - exact) / (np.abs(a) @ np.abs(b)))
    return out


@pytest.mark.parametrize("op", ["matmul", "dense"])
def test_eager_ops_read_it_when_they_run(gpu, op):
    found = errors(lambda a, b: apply(op, densa.asarray(a), densa.asarray(b)).to("cpu").numpy())
    # Within the documented bounds, and no better than the form can be.
    assert found["highest"] < 2**-20
    assert found["high"] < 2**-20
    assert 2**-15 < found["medium"] < 2**-10
    # No rounding of highest is a rounding of high.
    a, b = densa.asarray(numbers(70, 200)), densa.asarray(numbers(200, 65, seed=1))
    bits = set()
    for name in NAMES:
        densa.config.set_matmul_precision(name)
        bits.add(apply(op, a, b).to("cpu").numpy().tobytes())
    assert len(bits) == 3


def test_gradients_follow(gpu):
    a, b = numbers(64, 40), numbers(40, 50, seed=1)
    for name, least, most in [("highest", 0, 2**-20), ("medium", 2**-15, 2**-10)]:
        densa.config.set_matmul_precision(name)
        _, grad = densa.value_and_grad(lambda w: (densa.asarray(a) @ w * 1.7).sum())(
            densa.asarray(b)
        )
        want = np.float32(1.7) * np.sum(a.astype("f8"), axis=0)[:, None] * np.ones((1, 50))
        size = 1.7 * np.sum(np.abs(a), axis=0)[:, None]
        assert least <= np.max(np.abs(grad.to("cpu").numpy() - want) / size) < most, name


def test_models_are_planned_anew(gpu):
    model, x = network(), numbers(64, 40)
    results, texts = {}, {}
    for name in NAMES:
        densa.config.set_matmul_precision(name)
        results[name] = model.predict(x, verbose=0)
        texts[name] = model.explain_plan("predict")
    assert len({y.tobytes() for y in results.values()}) == 3
    # Each setting adds a plan, whose launches name it.
    launches = {name: texts["medium"].count(f"dense ({name})") for name in NAMES[1:]}
    assert launches == {"high": 2, "medium": 2}
    assert "dense (" not in texts["highest"]
    assert "(medium)" not in texts["high"]
    scale = np.abs(results["highest"]).max()
    assert np.abs(results["high"] - results["highest"]).max() < scale * 2**-17
    assert 2**-14 < np.abs(results["medium"] - results["highest"]).max() / scale < 2**-7
    # And back: the plan of then is taken up again.
    densa.config.set_matmul_precision("highest")
    np.testing.assert_array_equal(model.predict(x, verbose=0), results["highest"])


def test_a_frozen_model_keeps_what_was_set(gpu):
    model, x = network(), numbers(64, 40)
    frozen, results = {}, {}
    for name in NAMES:
        densa.config.set_matmul_precision(name)
        frozen[name] = model.freeze(device="cuda", fold=False, merge=False, prune=False)
        results[name] = frozen[name](x)
    assert len({y.tobytes() for y in results.values()}) == 3
    densa.config.set_matmul_precision("highest")
    for name in NAMES:
        np.testing.assert_array_equal(frozen[name](x), results[name])
        frozen[name](x[:20])  # planned now, and no sooner
    short = [frozen[name](x[:20]).tobytes() for name in NAMES]
    assert len(set(short)) == 3


def test_training_changes_with_it(gpu):
    x, y = numbers(64, 40), numbers(64, 40, seed=2)
    weights = {}
    for name in NAMES:
        densa.config.set_matmul_precision(name)
        model = network()
        model.fit(x, y, batch_size=32, epochs=1, verbose=0, shuffle=False)
        weights[name] = model.layers[0].kernel.numpy()
    assert len({w.tobytes() for w in weights.values()}) == 3
    np.testing.assert_allclose(weights["high"], weights["highest"], atol=2**-18)
    np.testing.assert_allclose(weights["medium"], weights["highest"], atol=2**-8)


def test_other_types_and_small_products_stay(gpu):
    a, b = densa.asarray(numbers(16, 40)), densa.asarray(numbers(40, 50))
    wide = a.astype("float64"), b.astype("float64")
    bits = set()
    for name in NAMES:
        densa.config.set_matmul_precision(name)
        bits.add((a @ b).to("cpu").numpy().tobytes() + (wide[0] @ wide[1]).numpy().tobytes())
    assert len(bits) == 1


def run(script, **env):
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=300,
    )


MULTIPLY = """
import hashlib, numpy as np, densa
densa.set_device("cuda")
a = np.random.default_rng(0).standard_normal((70, 70)).astype("f4")
multiply = lambda: hashlib.sha256((densa.asarray(a) @ a).to("cpu").numpy().tobytes()).hexdigest()
"""


@pytest.mark.parametrize(
    ("form", "name"), [("exact", "highest"), ("tf32x3", "high"), ("tf32", "medium")]
)
def test_the_environment_gives_the_default(gpu, form, name):
    script = MULTIPLY + (
        "print(densa.config.matmul_precision(), multiply())\n"
        f"densa.config.set_matmul_precision({name!r}); print(multiply())\n"
        "densa.config.set_matmul_precision('highest'); print(multiply())\n"
    )
    done = run(script, DENSA_CUDA_MATMUL=form)
    assert done.returncode == 0, done.stderr
    default, of_environment, of_name, highest = done.stdout.split()
    assert default == name
    assert of_environment == of_name
    assert (of_name == highest) == (name == "highest")


def test_a_gpu_without_it(gpu):
    if "DENSA_CUDA_EMULATED" not in os.environ:
        pytest.skip("an emulated GPU can be any")
    script = MULTIPLY + (
        "multiply(); densa.config.set_matmul_precision('high')\n"
        "for _ in range(2):\n"
        "    try: multiply()\n"
        "    except ValueError as error: print(error)\n"
        "densa.config.set_matmul_precision('highest'); multiply()\n"
    )
    done = run(script, DENSA_EMULATION_CAPABILITY="7.5", DENSA_CUDA_MATMUL="")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert (
        lines
        == [
            'the matmul_precision "high" (DENSA_CUDA_MATMUL=tf32x3) needs compute capability 8.0; '
            'GPU 0 (emulated GPU) has 7.5. Use "highest" (exact)'
        ]
        * 2
    )


def test_names():
    before = densa.config.matmul_precision()
    for wrong, error in [("tf32", ValueError), ("", ValueError), (None, TypeError), (1, TypeError)]:
        with pytest.raises(error, match="matmul_precision must be .highest., .high. or .medium."):
            densa.config.set_matmul_precision(wrong)
    assert densa.config.matmul_precision() == before


def test_the_cpu_does_not_read_it():
    before, device = densa.config.matmul_precision(), densa.get_device()
    densa.set_device("cpu")
    a = densa.asarray(numbers(70, 70))
    want = (a @ a).numpy()
    try:
        for name in NAMES:
            densa.config.set_matmul_precision(name)
            assert densa.config.matmul_precision() == name
            np.testing.assert_array_equal((a @ a).numpy(), want)
    finally:
        densa.config.set_matmul_precision(before)
        densa.set_device(device)
