"""Block-sparse weights: what they compute, when they are chosen, what the file keeps."""

import numpy as np
import pytest

import densa
from densa import _core, _formats, layers
from predict_files import edited, file_bytes, parts, put, read, whole
from predict_nets import data_for


def sparse_kernel(inputs, outputs, density, seed=0):
    """Of blocks of 16 columns of a row a part, and in these half of the numbers."""
    rng = np.random.default_rng(seed)
    kept = rng.random((inputs, -(-outputs // 16), 1)) < density
    w = rng.normal(size=(inputs, kept.shape[1], 16)) * (rng.random((*kept.shape[:2], 16)) < 0.5)
    return (w * kept).reshape(inputs, -1)[:, :outputs].astype("float32")


def one_layer(rows, inputs, outputs, density, **options):
    layer = layers.Dense(outputs, name="one", **options)
    model = densa.Sequential([densa.Input((inputs,)), layer])
    rng = np.random.default_rng(1)
    layer.kernel.assign(sparse_kernel(inputs, outputs, density))
    if layer.use_bias:
        layer.bias.assign(rng.normal(size=outputs))
    return model, rng.normal(size=(rows, inputs)).astype("float32")


def both(model, **options):
    """A network with all weights sparse, and in float32."""
    names = model.freeze(**options).formats
    return [model.freeze(formats=dict.fromkeys(names, f), **options) for f in ("sparse", "float32")]


def deep_net(density=0.2):
    model = densa.Sequential(
        [
            densa.Input((70,)),
            layers.Dense(130, "relu"),
            layers.Dense(65, "gelu", use_bias=False),
            layers.Dense(16, "tanh"),
            layers.Dense(5, "softmax"),
        ]
    )
    for i, layer in enumerate(model.layers):
        layer.kernel.assign(sparse_kernel(*layer.kernel.shape, density, seed=i))
    return model


# ---- what they compute ---------------------------------------------------------------------------

SIZES = [
    (1, 1, 1),
    (2, 3, 17),
    (5, 4, 16),
    (33, 65, 33),
    (17, 130, 100),
    (64, 31, 15),
    (3, 16, 129),
]


@pytest.mark.parametrize("density", [0, 0.05, 0.5, 1])
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("options", [{}, {"use_bias": False}, {"activation": "silu"}])
def test_a_layer(sizes, density, options):
    model, x = one_layer(*sizes, density, **options)
    sparse, plain = both(model)
    assert sparse.formats == {"one": "sparse"}
    y = sparse(x)
    np.testing.assert_array_equal(y, plain(x))
    layer = model.layers[0]
    w = layer.kernel.numpy().astype("float64")
    b = layer.bias.numpy().astype("float64") if layer.use_bias else np.zeros(sizes[2])
    z = x @ w + b
    # Each addition in float32 rounds by 2^-23 of what was added up at most; the slope of silu is at
    # most 1.1, its own error a few units in the last place.
    bound = 2.0**-23 * (x.shape[1] + 2) * (np.abs(x) @ np.abs(w) + np.abs(b))
    wanted = z / (1 + np.exp(-z)) if "activation" in options else z
    assert np.all(np.abs(y - wanted) <= 1.1 * bound + 1e-6 * np.abs(wanted))


@pytest.mark.parametrize("seed", range(40))
def test_random_layers(seed):
    rng = np.random.default_rng(seed)
    rows, inputs, outputs = (int(n) for n in rng.integers(1, 150, 3))
    model, x = one_layer(rows, inputs, outputs, rng.random() ** 2)
    sparse, plain = both(model)
    y = sparse(x)
    np.testing.assert_array_equal(y, plain(x))
    i = int(rng.integers(rows))
    np.testing.assert_array_equal(sparse(x[i : i + 1]), y[i : i + 1])


@pytest.mark.parametrize("rows", [1, 5, 40, 65, 500])
def test_rows_and_threads_do_not_change_a_bit(rows):
    sparse, plain = both(deep_net())
    arrays = data_for(sparse, rows)
    before = densa.get_num_threads()
    try:
        for threads in (1, 2, 3):
            densa.set_num_threads(threads, exact=True)
            found = sparse.run(arrays)
            np.testing.assert_array_equal(found, plain.run(arrays))
            for i in range(0, rows, 7):
                one = sparse.run([a[i : i + 1] for a in arrays])
                np.testing.assert_array_equal(one[0], found[0][i : i + 1])
    finally:
        densa.set_num_threads(before)


@pytest.mark.parametrize("shape", [(5,), (2, 1, 3), (1,)])
def test_an_input_of_more_axes_is_many_rows(shape):
    one, x = one_layer(60, 65, 33, 0.3)
    deep = densa.Sequential([densa.Input((*shape, 65)), layers.Dense(33, name="one")])
    deep.set_weights(one.get_weights())
    xs = x.reshape(-1, *shape, 65)
    sparse, _ = both(deep)
    wanted = both(one)[0](x).reshape(-1, *shape, 33)
    np.testing.assert_array_equal(sparse(xs), wanted)
    np.testing.assert_array_equal(sparse(xs[:1]), wanted[:1])


def test_an_empty_panel_and_an_empty_layer():
    model, x = one_layer(9, 20, 50, 1)
    kernel = model.layers[0].kernel.numpy().copy()
    kernel[:, 16:32] = 0
    model.layers[0].kernel.assign(kernel)
    sparse, plain = both(model)
    np.testing.assert_array_equal(sparse(x), plain(x))
    model.layers[0].kernel.assign(0 * kernel)
    sparse, plain = both(model)
    np.testing.assert_array_equal(sparse(x), plain(x))
    assert ", sparse: 0 blocks" in sparse.explain()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_goes_where_it_has_weights(bad):
    model, x = one_layer(5, 20, 33, 1)
    kernel = model.layers[0].kernel.numpy().copy()
    kernel[3, 16:32] = 0
    model.layers[0].kernel.assign(kernel)
    sparse, plain = both(model)
    wanted = sparse(x)
    x[2, 3] = bad
    y = sparse(x)
    # 0 * bad is NaN in a block that has another weight, and nothing where there is no block.
    np.testing.assert_array_equal(y[2, 16:32], wanted[2, 16:32])
    np.testing.assert_array_equal(
        np.delete(y, np.s_[16:32], 1), np.delete(plain(x), np.s_[16:32], 1)
    )
    assert not np.isfinite(np.delete(y[2], np.s_[16:32])).any()
    assert np.isnan(plain(x)[2, 16:32]).all()


def test_zeros_may_have_another_sign():
    """-0 + 0 is 0, which a product that is left out does not add."""
    model, x = one_layer(3, 20, 16, 0)
    model.layers[0].bias.assign(np.full(16, -0.0))
    sparse, plain = both(model, prune=False)
    x = np.abs(x)
    np.testing.assert_array_equal(sparse(x), plain(x))
    assert np.signbit(sparse(x)).all()
    assert not np.signbit(plain(x)).any()


def test_a_weight_that_is_nan_stays():
    model, x = one_layer(3, 20, 33, 0.3)
    kernel = model.layers[0].kernel.numpy().copy()
    kernel[4, 2] = np.nan
    model.layers[0].kernel.assign(kernel)
    sparse, plain = both(model)
    np.testing.assert_array_equal(sparse(x), plain(x))


# ---- choosing ------------------------------------------------------------------------------------


@pytest.fixture
def timed(monkeypatch):
    """Decides what is measured: the ratios of a format's times to float32's."""
    ratios = {}

    def decided(plain, tried, i, layer):
        return ratios[list(tried.formats.values())[i]]

    monkeypatch.setattr(_formats, "_ratios", decided)
    return ratios


def test_nothing_is_tried_without_enough_empty_blocks(timed):
    for density in (1, 0.8):
        predictor = one_layer(1, 130, 100, density)[0].freeze()
        assert predictor.formats == {"one": "float32"}
        assert predictor.certificate.formats == {}
    assert one_layer(1, 20, 16, 0)[0].freeze().certificate.formats == {}  # 20 blocks


@pytest.mark.parametrize(("ratios", "form"), [([0.5, 0.9], "sparse"), ([0.9, 1.1], "float32")])
def test_sparse_is_kept_where_it_is_faster(timed, ratios, form):
    timed["sparse"] = ratios
    model, x = one_layer(9, 130, 100, 0.25)
    predictor = model.freeze()
    assert predictor.formats == {"one": form}
    kept = np.count_nonzero(
        np.pad(model.layers[0].kernel.numpy(), ((0, 0), (0, 12))).reshape(130, 7, 16).any(2)
    )
    assert predictor.certificate.formats["one"] == (
        f"{form}, sparse takes {ratios[0]:.0%} of the time at 1 rows and {ratios[1]:.0%} of the "
        f"time at 32 rows and changes the outputs by 0.00%; {kept} of its 910 blocks have weights"
    )
    if densa.get_device() == "cpu":  # where `predict` multiplies as the predictor does
        assert predictor.certificate.same_bits
    assert (predictor.certificate.bytes < predictor.certificate.model_bytes) == (form == "sparse")
    assert (predictor.certificate.flops < predictor.certificate.model_flops) == (form == "sparse")
    np.testing.assert_array_equal(predictor(x), model.freeze(formats={"one": "float32"})(x))
    np.testing.assert_array_equal(predictor(x), model.freeze(formats=predictor.formats)(x))


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_the_fastest_format_wins(timed, dtype):
    model, x = one_layer(100, 130, 100, 0.25)
    timed.update(sparse=[0.5, 0.5], int8=[0.4, 0.4], bfloat16=[0.3, 0.3])
    assert model.freeze(dtype, calibration=x).formats == {"one": dtype}
    timed["sparse"] = [0.2, 0.2]
    assert model.freeze(dtype, calibration=x).formats == {"one": "sparse"}
    timed["sparse"] = [0.5, 0.5]
    predictor = model.freeze(dtype, calibration=x, budget=0)
    assert predictor.formats == {"one": "sparse"}
    assert "more than the budget of 0.00%" in predictor.certificate.formats["one"]


def test_the_fastest_format_within_the_budget_wins(timed):
    model, x = one_layer(100, 130, 100, 0.25)
    plain = model.freeze(formats={"one": "float32"})
    changes = {}
    for form in ("bfloat16", "int8"):
        y = model.freeze(formats={"one": form})(x)
        changes[form] = float(np.linalg.norm(y - plain(x)) / np.linalg.norm(plain(x)))
    between = (changes["bfloat16"] * changes["int8"]) ** 0.5
    timed.update(int8=[0.3, 0.3], sparse=[0.5, 0.5], bfloat16=[0.4, 0.4])
    assert model.freeze("int8", calibration=x, budget=between).formats == {"one": "bfloat16"}
    timed["bfloat16"] = [0.6, 0.6]
    assert model.freeze("int8", calibration=x, budget=between).formats == {"one": "sparse"}


def test_it_is_measured():
    """Without a stand-in for the clock: a large layer of which 1 % is left."""
    model, x = one_layer(3, 500, 400, 0.01)
    predictor = model.freeze()
    assert predictor.formats == {"one": "sparse"}
    np.testing.assert_array_equal(predictor(x), model.freeze(formats={"one": "float32"})(x))


def test_float64_and_other_formats_are_not_tried(timed):
    model, _ = one_layer(1, 130, 100, 0.1)
    assert model.freeze("float64").formats == {}
    assert model.freeze(formats={"one": "float32"}).certificate.formats == {"one": "float32"}
    with pytest.raises(ValueError, match=r"one of \['float32', 'bfloat16', 'int8', 'sparse'\]"):
        model.freeze(formats={"one": "dense"})
    with pytest.raises(ValueError, match="dtype must be"):
        model.freeze("sparse")


def test_sparse_weights_stay():
    predictor = one_layer(1, 5, 3, 1)[0].freeze(formats={"one": "sparse"})
    with pytest.raises(ValueError, match="sparse already"):
        _core.predictor_with(predictor, [("int8", 0.0, 0)])
    assert _core.predictor_with(predictor, [("sparse", 0.0, 0)]).formats == {"one": "sparse"}


# ---- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mmap", [True, False])
def test_a_round_trip(tmp_path, mmap):
    sparse, _ = both(deep_net())
    arrays = data_for(sparse, 70)
    path, again = tmp_path / "net.densa", tmp_path / "again.densa"
    sparse.save(path)
    loaded = densa.Predictor.load(path, mmap=mmap)
    assert loaded.formats == sparse.formats
    assert loaded.certificate == sparse.certificate
    assert loaded.explain() == sparse.explain()
    np.testing.assert_array_equal(loaded.run(arrays), sparse.run(arrays))
    loaded.save(again)
    assert again.read_bytes() == path.read_bytes()


def test_files_are_smaller(tmp_path):
    sizes = []
    for predictor in both(one_layer(1, 256, 256, 0.1)[0]):
        predictor.save(tmp_path / "net.densa")
        sizes.append((tmp_path / "net.densa").stat().st_size)
    blocks = _core.predictor_layer_blocks(predictor, 0)[0]
    assert sizes[1] - sizes[0] >= 256 * 256 * 4 - blocks * 68 - 1000


@pytest.fixture(scope="module")
def small():
    """Rows 0, 2 and 5 of the first panel, row 1 of the third."""
    model, _ = one_layer(1, 6, 35, 0)
    kernel = model.layers[0].kernel.numpy().copy()
    kernel[[0, 2, 5], 3] = 1
    kernel[1, 34] = 2
    model.layers[0].kernel.assign(kernel)
    return file_bytes(model.freeze(formats={"one": "sparse"}))


def packed(net):
    return next(i for i, v in enumerate(net["values"]) if v.get("packing") == "sparse")


def test_the_version_is_the_lowest_that_has_it(small):
    header, net, arena = parts(small)
    assert header["__metadata__"]["version"] == "2"
    assert net["values"][packed(net)]["blocks"] == 4
    plain = file_bytes(one_layer(1, 6, 35, 1)[0].freeze(formats={"one": "float32"}))
    assert parts(plain)[0]["__metadata__"]["version"] == "1"
    header["__metadata__"]["version"] = "1"
    with pytest.raises(ValueError, match="its version is 1, which has no sparse weights"):
        read(whole(header, net, arena), check=False)
    for version in ("0", "3", "02", "2 "):
        header["__metadata__"]["version"] = version
        with pytest.raises(ValueError, match="this densa reads 1 to 2"):
            read(whole(header, net, arena), check=False)


def change_weights(**changes):
    def change(header, net):
        net["values"][packed(net)].update(changes)

    return change


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (change_weights(blocks=3), "constants take|begin at block"),
        (change_weights(blocks=5), "constants take|begin at block"),
        (change_weights(blocks=-1), "at most 18 blocks, got -1"),
        (change_weights(blocks=19), "at most 18 blocks, got 19"),
        (change_weights(blocks=2**62), "at most 18 blocks"),
        (change_weights(blocks=4.0), "integer|whole"),
        (change_weights(blocks="4"), "integer|whole|number"),
        (change_weights(packing="panels"), "unknown key"),
        (change_weights(packing="rows"), "unknown key"),
        (change_weights(dtype="float64"), "no matrix of float32"),
        (change_weights(shape=[6, 35, 1]), "no matrix"),
        (change_weights(shape=[2, 35]), "out of range or order"),
        (change_weights(shape=[6, 2**40]), "constants take|not a predictor"),
        (change_weights(shape=[2**40, 35]), "not a predictor"),
        (put(["nodes", 0, "x"], {"scale": 0.1, "zero": 1}), "no int8"),
    ],
)
def test_a_header_that_lies_is_refused(small, change, text):
    with pytest.raises(ValueError, match=text):
        read(edited(small, change), check=False)


def test_a_file_without_the_number_of_blocks_is_refused(small):
    with pytest.raises(ValueError, match="blocks"):
        read(edited(small, lambda _, net: net["values"][packed(net)].pop("blocks")), check=False)


# In the arena: 48 numbers of the bias, 4 blocks of 16, 4 starts, 4 rows.
@pytest.mark.parametrize(
    ("at", "number"),
    [(0, 1), (4, 5), (8, 2), (12, 3), (12, 2**32 - 1), (16, 3), (20, 0), (24, 6), (28, 2**32 - 1)],
)
def test_an_index_that_lies_is_refused(small, at, number):
    header, net, arena = parts(small)
    begin = (48 + 4 * 16) * 4
    changed = bytearray(arena)
    changed[begin + at : begin + at + 4] = number.to_bytes(4, "little")
    with pytest.raises(ValueError, match="sparse weights: "):
        read(whole(header, net, bytes(changed)), check=False)


def test_a_flipped_bit_without_the_sum_never_does_harm(small):
    data = bytearray(small)
    passed = 0
    for at in range(len(data)):
        for bit in (0, 3, 6):
            data[at] ^= 1 << bit
            try:
                predictor = read(data, check=False)
            except ValueError:
                pass
            else:
                passed += 1
                predictor.run([np.ones((3, *s.shape[1:]), s.dtype) for s in predictor.inputs])
            data[at] ^= 1 << bit
    assert passed > 100
