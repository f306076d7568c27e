"""A network as one C file: strict C99, and the answers of the predictor.

With a fused multiply-add (`-mfma`) products have the predictor's bits, as both add in one order.
Elsewhere the references are the predictor's answers, within a few roundings of sums and of libm.
"""

import ctypes
import re
import shutil

import numpy as np
import pytest

import densa
from capi_tools import run
from densa import layers
from predict_nets import (
    data_for,
    deep_input_net,
    dense_net,
    image_net,
    move_weights,
    norm_net,
    skip_net,
)
from predict_nets import wide_net as wide

STRICT = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic"]
COMPILERS = [name for name in ("gcc", "clang", "clang-14") if shutil.which(name)]
ACTIVATIONS = (
    "relu relu6 selu gelu silu mish sigmoid hard_sigmoid hard_silu tanh softplus softsign "
    "log_sigmoid leaky_relu elu celu exponential log_softmax softmax".split()
)


def relu_net():
    return densa.Sequential(
        [densa.Input((21,)), layers.Dense(40, "relu"), layers.Dense(17, "relu"), layers.Dense(3)]
    )


def compiled(predictor, folder, compiler, *flags):
    """The function of a shared library, for whole batches."""
    predictor.export_c(folder / "net.c")
    run([compiler, *STRICT, *flags, "-fPIC", "-shared", "net.c", "-o", "net.so", "-lm"], cwd=folder)
    function = ctypes.CDLL(str(folder / "net.so")).net_predict
    (spec,) = predictor.outputs

    def call(x):
        y = np.full((len(x), *spec.shape[1:]), -7, "float32")
        for row, result in zip(x, y, strict=True):
            pointers = [ctypes.c_void_p(a.ctypes.data) for a in (row, result)]
            assert function(*pointers) == 0
        return y

    assert function(None, None) == 1
    return call


@pytest.fixture(
    params=COMPILERS or [pytest.param("", marks=pytest.mark.skip("needs a C compiler"))]
)
def compiler(request):
    return request.param


@pytest.mark.parametrize(
    "make",
    [dense_net, norm_net, deep_input_net, relu_net, skip_net],
    ids=lambda make: make.__name__,
)
def test_answers(make, compiler, tmp_path):
    model = make()
    move_weights(model)
    predictor = model.freeze()
    (x,) = data_for(predictor, 40)
    y = compiled(predictor, tmp_path, compiler)(x)
    # Sums of at most 50 numbers of size 1, a few layers deep: some 20 roundings of 2^-24.
    np.testing.assert_allclose(y, predictor(x), rtol=3e-6, atol=3e-6)


def has_fma():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return " fma " in file.read()
    except OSError:
        return False


@pytest.mark.skipif(not has_fma(), reason="needs a CPU with fused multiply-add")
def test_the_bits_of_products(tmp_path, compiler):
    for make in (relu_net, deep_input_net):
        model = make()
        move_weights(model)
        predictor = model.freeze()
        (x,) = data_for(predictor, 40)
        folder = tmp_path / make.__name__
        folder.mkdir()
        y = compiled(predictor, folder, compiler, "-mfma", "-ffp-contract=off")(x)
        np.testing.assert_array_equal(y, predictor(x))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation, tmp_path):
    if not COMPILERS:
        pytest.skip("needs a C compiler")
    predictor = densa.Sequential([densa.Input((7,)), layers.Activation(activation)]).freeze()
    rng = np.random.default_rng(3)
    x = (rng.normal(size=(200, 7)) * 3).astype("float32")
    special = np.array([0, -0.0, 90, -90, np.inf, -np.inf, np.nan], "float32")
    x[0] = special
    for i, value in enumerate(special):
        x[1 + i] = value
    if activation in ("softmax", "log_softmax"):
        x = x[8:]
    y = compiled(predictor, tmp_path, COMPILERS[0])(x)
    # libm's functions and ours are each within 2 ulp, gates within 4, or 2^-22 |z| near 0.
    np.testing.assert_allclose(y, predictor(x), rtol=1.5e-6, atol=1e-6)


def test_numbers_that_are_none(tmp_path, compiler):
    model = densa.Sequential([densa.Input((3,)), layers.Dense(5), layers.Dense(2)])
    model.layers[0].bias.assign(np.array([np.nan, np.inf, -np.inf, 1e-45, -0.0], "float32"))
    predictor = model.freeze()
    (x,) = data_for(predictor, 3)
    y = compiled(predictor, tmp_path, compiler)(x)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(predictor(x)))


def test_macros_and_names(tmp_path):
    predictor = relu_net().freeze()
    predictor.export_c(tmp_path / "9 lives.c", name="cat")
    text = (tmp_path / "9 lives.c").read_text()
    assert "#define CAT_INPUTS 21\n#define CAT_OUTPUTS 3\n" in text
    assert set(re.findall(r"#include <(\S+)>", text)) == {"math.h", "stddef.h"}
    with pytest.raises(ValueError, match="no name for C"):
        predictor.export_c(tmp_path / "9 lives.c")
    with pytest.raises(ValueError, match="no name for C"):
        predictor.export_c(tmp_path / "x.c", name="a-b")


def mean_net():
    x = densa.Input((4, 3))
    return densa.Model(x, densa.ops.mean(x, axis=1))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (wide, "one input and one output"),
        (image_net, "input must be float32 but is uint8"),
        (mean_net, "op 'mean'"),
    ],
)
def test_refusals(make, text, tmp_path):
    with pytest.raises(ValueError, match=text):
        make().freeze().export_c(tmp_path / "net.c")
    assert not list(tmp_path.iterdir())
