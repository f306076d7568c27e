"""A network as one C file: strict C99, and the answers of the predictor.

With a fused multiply-add (`-mfma`) products have the predictor's bits, as both add in one order.
Elsewhere the references are the predictor's answers, within a few roundings of sums and of libm.
"""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

import densa
from densa import layers
from exported import COMPILERS, Exported
from predict_nets import NETS, data_for, deep_input_net, move_weights

pytestmark = pytest.mark.cpu_only("a C file is for CPUs")

ACTIVATIONS = (
    "relu relu6 selu gelu silu mish sigmoid hard_sigmoid hard_silu tanh softplus softsign "
    "log_sigmoid leaky_relu elu celu exponential log_softmax softmax".split()
)


def relu_net():
    return densa.Sequential(
        [densa.Input((21,)), layers.Dense(40, "relu"), layers.Dense(17, "relu"), layers.Dense(3)]
    )


@pytest.fixture(
    params=COMPILERS or [pytest.param("", marks=pytest.mark.skip("needs a C compiler"))]
)
def compiler(request):
    return request.param


@pytest.fixture(params=NETS, ids=lambda make: make.__name__)
def model(request):
    made = request.param()
    move_weights(made)
    return made


def in_format(model, form, **options):
    return model.freeze(formats=dict.fromkeys(model.freeze(**options).formats, form), **options)


# ---- answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "most"), [("float32", 3e-6), ("float64", 1e-14)])
def test_answers(model, dtype, most, compiler, tmp_path):
    predictor = model.freeze(dtype)
    arrays = data_for(predictor, 40)
    found = Exported(predictor, tmp_path, compiler).run(arrays)
    # Sums of at most 50 numbers of size 1, a few layers deep: some 20 roundings of 2^-24, or 2^-53.
    for y, wanted in zip(found, predictor.run(arrays), strict=True):
        assert y.dtype == wanted.dtype
        np.testing.assert_allclose(y, wanted, rtol=most, atol=most)


@pytest.mark.parametrize("form", ["bfloat16", "int8"])
def test_answers_with_narrow_weights(model, form, compiler, tmp_path):
    predictor = in_format(model, form)
    arrays = data_for(predictor, 40)
    found = Exported(predictor, tmp_path, compiler).run(arrays)
    # What a layer multiplies has other last bits, so a number between two steps of 1/255 of the
    # range, or of 2^-8 of itself, may be rounded either way; most are not.
    for y, wanted in zip(found, predictor.run(arrays), strict=True):
        size = np.abs(wanted).max()
        np.testing.assert_allclose(y, wanted, rtol=0, atol=0.02 * size)
        assert np.median(np.abs(y - wanted)) <= 3e-6 * size


def has_fma():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return " fma " in file.read()
    except OSError:
        return False


@pytest.mark.skipif(not has_fma(), reason="needs a CPU with fused multiply-add")
@pytest.mark.parametrize("make", [relu_net, deep_input_net])
def test_the_bits_of_products(make, compiler, tmp_path):
    model = make()
    move_weights(model)
    predictor = model.freeze()
    arrays = data_for(predictor, 40)
    found = Exported(predictor, tmp_path, compiler, "-mfma").run(arrays)
    np.testing.assert_array_equal(found, predictor.run(arrays))


@pytest.mark.parametrize("make", [relu_net, deep_input_net])
def test_sparse_weights(make, compiler, tmp_path):
    model = make()
    move_weights(model)
    rng = np.random.default_rng(3)
    for variable in model.trainable_variables:
        if variable.name == "kernel":
            rows, cols = variable.shape
            kept = np.repeat(rng.random((rows, -(-cols // 16))) < 0.3, 16, 1)[:, :cols]
            kept[:, 16:32] = False  # a panel without a block
            variable.assign(variable.numpy() * kept)
    predictor = in_format(model, "sparse", prune=False)
    assert set(predictor.formats.values()) == {"sparse"}
    arrays = data_for(predictor, 40)
    found = Exported(predictor, tmp_path, compiler, *["-mfma"] * has_fma()).run(arrays)
    wanted = predictor.run(arrays)
    for y, t in zip(found, wanted, strict=True):
        np.testing.assert_allclose(y, t, rtol=3e-6, atol=3e-6)
    if has_fma():
        np.testing.assert_array_equal(found, wanted)


def test_a_layer_without_weights(compiler, tmp_path):
    model = densa.Sequential([densa.Input((5,)), layers.Dense(20, kernel_initializer="zeros")])
    predictor = in_format(model, "sparse")
    arrays = data_for(predictor, 3)
    found = Exported(predictor, tmp_path, compiler).run(arrays)
    np.testing.assert_array_equal(found, predictor.run(arrays))


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("flags", [[], ["-O3"], ["-O2", "-ffp-contract=fast", "-mfma"]])
def test_the_bits_of_int8(static, flags, compiler, tmp_path):
    if "-mfma" in flags and not has_fma():
        pytest.skip("needs a CPU with fused multiply-add")
    model = relu_net()
    move_weights(model)
    arrays = data_for(model.freeze(), 300)
    arrays[0][:5] *= np.array([0, 1e-33, 1e30, -1, 1e3], "float32")[:, None]
    predictor = in_format(model, "int8", **({"calibration": arrays[0][5:50]} if static else {}))
    found = Exported(predictor, tmp_path, compiler, *flags).run(arrays)
    np.testing.assert_array_equal(found, predictor.run(arrays))


LOAD = """
import numpy, densa
predictor = densa.Predictor.load("net.densa")
numpy.save("y.npy", predictor(numpy.load("x.npy")))
"""


@pytest.mark.skipif(not has_fma(), reason="needs a CPU with fused multiply-add")
@pytest.mark.parametrize("level", ["v3", "v4"])
def test_the_bits_of_bfloat16(level, compiler, tmp_path):
    """Those of CPU levels that multiply and add one number after the other."""
    model = relu_net()
    move_weights(model)
    predictor = in_format(model, "bfloat16")
    (x,) = data_for(predictor, 300)
    np.save(tmp_path / "x.npy", x)
    predictor.save(tmp_path / "net.densa")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "DENSA_FORCE_ISA": level}
    command = [sys.executable, "-c", LOAD]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    if "DENSA_FORCE_ISA is" in done.stderr:
        pytest.skip(f"this build on this machine does not run {level}")
    assert done.returncode == 0, done.stderr
    (y,) = Exported(predictor, tmp_path, compiler, "-mfma").run([x])
    np.testing.assert_array_equal(y, np.load(tmp_path / "y.npy"))


def test_a_bfloat16_layer_beside_float64(compiler, tmp_path):
    rng = np.random.default_rng(0)
    layer = layers.Dense(33, name="one")
    model = densa.Sequential([densa.Input((65,)), layer])
    layer.bias.assign(rng.normal(size=33))
    x = (rng.normal(size=(50, 65)) + 0.3).astype("float32")
    (y,) = Exported(model.freeze(formats={"one": "bfloat16"}), tmp_path, compiler).run([x])

    def rounded(z):
        fraction, exponent = np.frexp(z.astype("float64"))
        return np.ldexp(np.rint(fraction * 256) / 256, exponent)

    x, w, b = rounded(x), rounded(layer.kernel.numpy()), layer.bias.numpy().astype("float64")
    # Each product and each addition rounds by 2^-24 of what was added up at most.
    bound = 2.0**-23 * (x.shape[1] + 2) * (np.abs(x) @ np.abs(w) + np.abs(b))
    assert np.all(np.abs(y - (x @ w + b)) <= bound)


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
    (y,) = Exported(predictor, tmp_path, COMPILERS[0]).run([x])
    # libm's functions and ours are each within 2 ulp, gates within 4, or 2^-22 |z| near 0.
    np.testing.assert_allclose(y, predictor(x), rtol=1.5e-6, atol=1e-6)


@pytest.mark.parametrize("bias", [[np.nan, np.inf, -np.inf, 1e-45, -0.0], [0, 1, 2, 3, 4]])
@pytest.mark.parametrize("form", ["float32", "bfloat16", "int8"])
def test_numbers_that_are_none(form, bias, compiler, tmp_path):
    model = densa.Sequential([densa.Input((3,)), layers.Dense(5), layers.Dense(2)])
    model.layers[0].bias.assign(np.array(bias, "float32"))
    predictor = in_format(model, form, merge=False)
    (x,) = data_for(predictor, 6)
    x[3:] = np.array([[np.nan, 1, 1], [1, np.inf, 1], [1, 1, -np.inf]], "float32")
    (y,), wanted = Exported(predictor, tmp_path, compiler).run([x]), predictor(x)
    np.testing.assert_array_equal(np.isfinite(y), np.isfinite(wanted))
    np.testing.assert_array_equal(np.isnan(y), np.isnan(wanted))


# ---- the file ------------------------------------------------------------------------------------


def test_macros_and_names(tmp_path):
    predictor = relu_net().freeze()
    predictor.export_c(tmp_path / "9 lives.c", name="cat")
    text = (tmp_path / "9 lives.c").read_text()
    assert "#define CAT_INPUTS 21\n#define CAT_OUTPUTS 3\n" in text
    assert "int cat_predict(const float* x, float* y);" in text
    assert set(re.findall(r"#include <(\S+)>", text)) == {"math.h", "stddef.h", "stdint.h"}
    with pytest.raises(ValueError, match="no name for C"):
        predictor.export_c(tmp_path / "9 lives.c")
    with pytest.raises(ValueError, match="no name for C"):
        predictor.export_c(tmp_path / "x.c", name="a-b")
    with pytest.raises(TypeError, match="export_c: name must be a text .*; received 5 of type int"):
        predictor.export_c(tmp_path / "x.c", name=5)
    assert [path.name for path in tmp_path.iterdir()] == ["9 lives.c"]


def test_several_inputs_and_outputs(tmp_path):
    numbers = densa.Input((2, 3), name="x*y")
    flags = densa.Input((4,), dtype="bool", name="flags")
    outputs = [numbers, densa.ops.sum(densa.ops.cast(flags, "int64"), axis=1)]
    densa.Model([numbers, flags], outputs).freeze().export_c(tmp_path / "net.c")
    text = (tmp_path / "net.c").read_text()
    arguments = "const float* x0, const _Bool* x1, float* y0, int64_t* y1"
    assert f" *   int net_predict({arguments});\n" in text
    assert " *   x0: NET_INPUTS0 numbers, 'x_y', float32 of shape (2, 3)\n" in text
    assert "#define NET_INPUTS0 6\n#define NET_INPUTS1 4\n" in text
    assert "#define NET_OUTPUTS0 6\n#define NET_OUTPUTS1 1\n" in text


def test_an_id_out_of_range_is_an_error(compiler, tmp_path):
    ids = densa.Input((2,), dtype="int32")
    model = densa.Model(ids, layers.Embedding(11, 3)(ids))
    net = Exported(model.freeze(), tmp_path, compiler)
    y = np.full((2, 3), 7, "float32")
    for wrong in (11, -1, 2**31 - 1, -(2**31)):
        assert net.call([np.array([3, wrong], "int32")], [y]) == 2
    assert np.all(y == 7)
    assert net.call([np.array([3, 10], "int32")], [y]) == 0
    assert "or 2 for a number that has no answer" in (tmp_path / "net.c").read_text()
