"""densa.ops: functions that call functions, Fourier transforms, several arrays, images."""

import numpy as np
import pytest

import densa
from densa import ops

RNG = np.random.default_rng(5)
X = RNG.normal(size=(4, 3)).astype("f4")


def trained(layer, x=X, frozen=True):
    """A model around a layer: as it predicts natively and eagerly, and after a native step."""
    model = densa.Sequential([densa.Input(x.shape[1:]), densa.layers.Dense(3), layer])
    model.compile("sgd", "mse")
    native = model.predict(x, verbose=0)
    np.testing.assert_allclose(native, model(x).numpy(), rtol=1e-5, atol=1e-6)
    before = model.layers[0].kernel.numpy()
    model.fit(x, np.zeros_like(native), verbose=0)
    assert np.abs(model.layers[0].kernel.numpy() - before).max() > 0
    if frozen:
        expected = model.predict(x, verbose=0)
        np.testing.assert_allclose(model.freeze()(x), expected, rtol=1e-5, atol=1e-6)
    return native


def test_cond_with_a_value_calls_one_function():
    calls = []

    def branch(name):
        return lambda: calls.append(name) or ops.array(1.0)

    ops.cond(True, branch("yes"), branch("no"))
    ops.cond(ops.array(False), branch("yes"), branch("no"))
    assert calls == ["yes", "no"]


class Branches(densa.layers.Layer):
    def call(self, x):
        large = ops.sum(ops.stop_gradient(x[:, 0])) < 1e9  # known to nobody while it is recorded
        y = ops.cond(large, lambda: x * 2, lambda: x)
        at = ops.cast(ops.sum(ops.stop_gradient(x[:, 0])) * 0 + 1, "int32")
        return ops.switch(at, [ops.negative, ops.square, ops.exp], y)


def test_cond_and_switch_are_recorded():
    x = densa.layers.Dense(3)
    model = densa.Sequential([densa.Input((3,)), x, Branches()])
    model.compile("sgd", "mse")
    got = model.predict(X, verbose=0)
    np.testing.assert_allclose(got, (2 * x(X).numpy()) ** 2, rtol=1e-5)
    model.fit(X, X, verbose=0)


def test_switch_stays_inside():
    for index, expected in ((-3, -2.0), (0, -2.0), (1, 4.0), (9, 4.0)):
        assert float(ops.switch(index, [ops.negative, ops.square], 2.0)) == expected
    with pytest.raises(ValueError, match="branch"):
        ops.switch(0, [], 1.0)


class Loops(densa.layers.Layer):
    """Loops whose number of rounds is known, over features of each row."""

    def call(self, x):
        y = ops.fori_loop(0, 3, lambda i, v: ops.tanh(v + i), x)
        y = ops.associative_scan(ops.add, y, axis=1)
        _, y = ops.while_loop(lambda i, v: i < 2, lambda i, v: (i + 1, v * 0.5), (0, y))
        return y


class ScanOfFeatures(densa.layers.Layer):
    """scan and map go along the first axis: the features have to come there first."""

    def call(self, x):
        by_feature = ops.transpose(x)
        _, sums = ops.scan(lambda c, f: (c + f, c * f), x[:, 0] * 0, by_feature)
        return ops.transpose(sums + ops.map(lambda f: f * 2, by_feature))


def test_loops_are_recorded():
    assert trained(Loops()).shape == (4, 3)
    assert trained(ScanOfFeatures(), frozen=False).shape == (4, 3)


def test_scan():
    last, out = ops.scan(lambda c, x: (c + x, c), 0.0, X[:, 0], reverse=True)
    np.testing.assert_allclose(float(last), X[:, 0].sum(), rtol=1e-5)
    np.testing.assert_allclose(out.numpy(), X[:, 0][::-1].cumsum()[::-1] - X[:, 0], atol=1e-6)
    carry, out = ops.scan(lambda c, _: (c + 1, {"twice": ops.array(2.0 * c)}), 0, length=3)
    assert carry == 3
    assert out["twice"].numpy().tolist() == [0, 2, 4]
    with pytest.raises(ValueError, match="length"):
        ops.scan(lambda c, x: (c, x), 0.0)
    with pytest.raises(ValueError, match="has 4 slices"):
        ops.scan(lambda c, x: (c, x), 0.0, X, length=3)


@pytest.mark.parametrize("size", [1, 2, 7, 8])
@pytest.mark.parametrize("reverse", [False, True])
def test_associative_scan(size, reverse):
    x = RNG.normal(size=(3, size))
    got = ops.associative_scan(ops.multiply, x, reverse=reverse, axis=1).numpy()
    expected = x[:, ::-1].cumprod(1)[:, ::-1] if reverse else x.cumprod(1)
    np.testing.assert_allclose(got, expected)


def test_map_and_while_loop():
    got = ops.map(lambda p: {"sum": p[0] + p[1]}, (X, X))
    np.testing.assert_array_equal(got["sum"].numpy(), X + X)
    assert ops.while_loop(lambda i: i < 100, lambda i: i + 1, 0, maximum_iterations=7) == 7
    with pytest.raises(ValueError, match="one size"):
        ops.map(lambda p: p[0], (X, X[:2]))
    with pytest.raises(ValueError, match="0 rows"):
        ops.map(lambda x: x, X[:0])


def test_vectorize():
    add = ops.vectorize(lambda a, b: a + 2 * b)
    np.testing.assert_allclose(add(X, X[0]).numpy(), X + 2 * X[0], rtol=1e-6)
    dot = ops.vectorize(ops.dot, signature="(n),(n)->()")
    np.testing.assert_allclose(dot(X, X[0]).numpy(), X @ X[0], rtol=1e-5)
    scaled = ops.vectorize(lambda a, by: a * by, excluded={1})
    np.testing.assert_allclose(scaled(X, 3.0).numpy(), X * 3, rtol=1e-6)
    with pytest.raises(ValueError, match="signature"):
        ops.vectorize(ops.dot, signature="n,n")(X, X)
    with pytest.raises(ValueError, match="has 2 arguments"):
        dot(X)


# ---- Fourier -------------------------------------------------------------------------------------


def complex_of(pair):
    return pair[0].numpy() + 1j * pair[1].numpy()


@pytest.mark.parametrize("size", [1, 2, 7, 8, 33])
def test_fourier(size):
    z = RNG.normal(size=(2, 3, size)) + 1j * RNG.normal(size=(2, 3, size))
    pair = (z.real, z.imag)
    tolerance = {"rtol": 1e-10, "atol": 1e-10}
    np.testing.assert_allclose(complex_of(ops.fft(pair)), np.fft.fft(z), **tolerance)
    np.testing.assert_allclose(complex_of(ops.ifft(pair)), np.fft.ifft(z), **tolerance)
    np.testing.assert_allclose(complex_of(ops.fft2(pair)), np.fft.fft2(z), **tolerance)
    np.testing.assert_allclose(complex_of(ops.ifft2(pair)), np.fft.ifft2(z), **tolerance)
    for length in (None, 1, size + 3, max(1, size - 1)):
        got = ops.rfft(z.real, length)
        np.testing.assert_allclose(complex_of(got), np.fft.rfft(z.real, length), **tolerance)
        if length is not None or size > 1:
            back = ops.irfft(pair, length)
            np.testing.assert_allclose(back.numpy(), np.fft.irfft(z, length), **tolerance)
    flat = ops.fft((z.real[0, 0].astype("f4"), z.imag[0, 0].astype("f4")))
    assert flat[0].dtype == "float32"
    np.testing.assert_allclose(complex_of(flat), np.fft.fft(z[0, 0]), rtol=1e-4, atol=1e-4)


def test_fourier_refuses():
    for call in (lambda: ops.fft(X), lambda: ops.fft((X, X[0])), lambda: ops.rfft(X, 0),
                 lambda: ops.fft2((X[0], X[0]))):  # fmt: skip
        with pytest.raises(ValueError, match="expected|shape|above 0"):
            call()


class Spectrum(densa.layers.Layer):
    def call(self, x):
        real, imaginary = ops.rfft(x)
        return ops.square(real) + ops.square(imaginary)


def test_a_spectrum_is_trained_and_frozen():
    got = trained(Spectrum())
    assert got.shape == (4, 2)


# ---- several arrays ------------------------------------------------------------------------------


def test_cuts():
    cube = RNG.normal(size=(4, 4, 4))
    for name in ("hsplit", "vsplit", "dsplit"):
        for where in (2, [1, 3]):
            got, expected = getattr(ops, name)(cube, where), getattr(np, name)(cube, where)
            for a, b in zip(got, expected, strict=True):
                np.testing.assert_array_equal(a.numpy(), b)
    assert [p.shape for p in ops.hsplit(np.ones(4), 2)] == [(2,), (2,)]
    with pytest.raises(ValueError, match="axes or more"):
        ops.dsplit(X, 1)


def test_found():
    x = np.array([[3, 0, 3], [1, 0, 7]])
    for a, b in zip(ops.nonzero(x), np.nonzero(x), strict=True):
        np.testing.assert_array_equal(a.numpy(), b)
    for axis in (None, 0, 1):
        got = ops.unique(x, return_index=True, return_inverse=True, return_counts=True, axis=axis)
        expected = np.unique(x, True, True, True, axis=axis)
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_array_equal(a.numpy().ravel(), b.ravel())
        assert got[1].dtype == "int32"
    assert ops.unique(x, size=6, fill_value=-1).numpy().tolist() == [0, 1, 3, 7, -1, -1]
    assert ops.unique(x, size=2).numpy().tolist() == [0, 1]
    for a, b in zip(ops.unravel_index([[5, 23], [0, -1]], (2, 3, 4)),
                    np.unravel_index([[5, 23], [0, 23]], (2, 3, 4)), strict=True):  # fmt: skip
        np.testing.assert_array_equal(a.numpy(), b)
    for outside in (24, -25):
        with pytest.raises(ValueError, match=f"24 elements; received the index {outside}"):
            ops.unravel_index([0, outside], (2, 3, 4))
    for how in ({}, {"bins": 3}, {"bins": 4, "range": (-1, 1)}):
        for a, b in zip(ops.histogram(X, **how), np.histogram(X, **how), strict=True):
            np.testing.assert_allclose(a.numpy(), b, rtol=1e-6)
    assert ops.dtype(X) == "float32"
    assert ops.dtype(densa.Input((2,), dtype="int64")) == "int64"


@pytest.mark.parametrize(
    "call",
    [
        lambda: ops.histogram(X, bins=0),
        lambda: ops.histogram(X, range=(2, 1)),
        lambda: ops.argpartition(X, 4),
        lambda: ops.scatter([[0, 0, 0]], [1.0], (2, 2)),
        lambda: ops.scatter_update(X, [[0]], X[:1], reduction="mean"),
        lambda: ops.segment_max(X, [[0]]),
        lambda: ops.rot90(X, axes=(0, 0)),
        lambda: ops.rearrange(X, "a b -> a c"),
        lambda: ops.rearrange(X, "(a b) c -> a b c"),
        lambda: ops.rearrange(X, "a (b c) -> a b c", b=2),
        lambda: ops.cross(X[:, :1], X),
        lambda: ops.correlate(X, X),
        lambda: ops.cdist(X, X[:, :2]),
        lambda: ops.kaiser(-1, 2.0),
        lambda: ops.pad(X[:0], 1, mode="reflect"),
        lambda: ops.nanquantile(X, 2.0),
        lambda: ops.nanquantile(X, 0.5, method="cubic"),
    ],
)
def test_value_errors(call):
    with pytest.raises(ValueError, match=r"\w+: "):
        call()


def test_bits_want_whole_numbers():
    with pytest.raises(TypeError, match="whole numbers"):
        ops.bitwise_and(X, 1)
    with pytest.raises(TypeError, match="whole numbers"):
        ops.ldexp(X, X)


class Distances(densa.layers.Layer):
    """What is made of other ops trains: distances, groups, scattered values, pieces."""

    def call(self, x):
        far = ops.cdist(ops.expand_dims(x, 1), np.eye(3, dtype="f4"))[:, 0]
        y = ops.concatenate([far, ops.nanstd(x, axis=1, keepdims=True), ops.ptp(x, 1, True)], 1)
        y = ops.pad(y, ((0, 0), (1, 1)), mode="reflect")
        return ops.cross(y[:, :3], y[:, 4:]) + ops.nanmedian(y, axis=1, keepdims=True)


def test_composed_ops_are_trained_and_frozen():
    assert trained(Distances()).shape == (4, 3)


# ---- images --------------------------------------------------------------------------------------

IMAGES = RNG.uniform(size=(2, 6, 8, 3)).astype("f4")


def bilinear(line, wanted):
    """At the centres of the new pixels, the outermost pixels going on."""
    at = np.clip((np.arange(wanted) + 0.5) * len(line) / wanted - 0.5, 0, len(line) - 1)
    return np.interp(at, np.arange(len(line)), line)


def test_resize():
    got = ops.image.resize(IMAGES, (9, 4)).numpy()
    for image, x in zip(got, IMAGES, strict=True):
        tall = np.apply_along_axis(bilinear, 0, x, 9)
        np.testing.assert_allclose(image, np.apply_along_axis(bilinear, 1, tall, 4), atol=1e-5)
    near = ops.image.resize(IMAGES, (12, 4), interpolation="nearest").numpy()
    np.testing.assert_array_equal(near, IMAGES.repeat(2, 1)[:, :, 1::2])
    first = ops.image.resize(IMAGES.transpose(0, 3, 1, 2), (9, 4), data_format="channels_first")
    np.testing.assert_allclose(first.numpy().transpose(0, 2, 3, 1), got, atol=1e-6)
    half = ops.image.resize(IMAGES, (3, 4), antialias=True).numpy()
    assert half.std() < ops.image.resize(IMAGES, (3, 4)).numpy().std()
    for how in ("bilinear", "bicubic", "lanczos3", "lanczos5"):
        flat = ops.image.resize(np.full((6, 8, 1), 7.0), (11, 5), how, antialias=True).numpy()
        np.testing.assert_allclose(flat, 7.0, rtol=1e-10)
    bytes_ = ops.image.resize((IMAGES * 255).astype("u1"), (3, 3))
    assert bytes_.dtype == "uint8"
    crop = ops.image.resize(IMAGES, (3, 3), "nearest", crop_to_aspect_ratio=True).numpy()
    np.testing.assert_array_equal(crop, IMAGES[:, 1::2, 2:7:2])
    padded = ops.image.resize(IMAGES, (8, 8), "nearest", pad_to_aspect_ratio=True, fill_value=5.0)
    assert (padded.numpy()[:, [0, -1]] == 5).all()
    np.testing.assert_array_equal(padded.numpy()[:, 1:-1], IMAGES)


def test_cut_and_coloured():
    np.testing.assert_array_equal(
        ops.image.crop_images(
            IMAGES, 1, bottom_cropping=2, target_width=5, right_cropping=1
        ).numpy(),
        IMAGES[:, 1:4, 2:7],
    )
    padded = ops.image.pad_images(IMAGES, 1, 2, target_height=10, target_width=10).numpy()
    np.testing.assert_array_equal(padded, np.pad(IMAGES, ((0, 0), (1, 3), (2, 0), (0, 0))))
    gray = ops.image.rgb_to_grayscale(IMAGES).numpy()
    np.testing.assert_allclose(gray[..., 0], IMAGES @ [0.2989, 0.587, 0.114], rtol=1e-5)
    colorsys = pytest.importorskip("colorsys")
    hsv = ops.image.rgb_to_hsv(IMAGES).numpy()
    expected = np.array([colorsys.rgb_to_hsv(*p) for p in IMAGES.reshape(-1, 3).astype("f8")])
    np.testing.assert_allclose(hsv.reshape(-1, 3), expected, atol=1e-5)
    np.testing.assert_allclose(ops.image.hsv_to_rgb(hsv).numpy(), IMAGES, atol=1e-5)
    first = ops.image.rgb_to_hsv(IMAGES.transpose(0, 3, 1, 2), "channels_first").numpy()
    np.testing.assert_allclose(first.transpose(0, 2, 3, 1), hsv, atol=1e-6)


def test_patches():
    got = ops.image.extract_patches(IMAGES, (2, 3), strides=(1, 2)).numpy()
    assert got.shape == (2, 5, 3, 18)
    for i in range(5):
        for j in range(3):
            patch = IMAGES[:, i : i + 2, 2 * j : 2 * j + 3]
            np.testing.assert_array_equal(got[:, i, j], patch.reshape(2, -1))
    same = ops.image.extract_patches(IMAGES, 3, strides=1, padding="same").numpy()
    assert same.shape == (2, 6, 8, 27)
    np.testing.assert_array_equal(same[:, 0, 0].reshape(2, 3, 3, 3)[:, 1:, 1:], IMAGES[:, :2, :2])
    assert ops.image.extract_patches(IMAGES, 2, dilation_rate=2).shape == (2, 2, 3, 12)
    with pytest.raises(ValueError, match="does not fit"):
        ops.image.extract_patches(IMAGES, 9)


def test_moved_images():
    shift = np.array([1, 0, 1, 0, 1, 0, 0, 0], "f4")
    got = ops.image.affine_transform(IMAGES, shift, fill_mode="nearest").numpy()
    np.testing.assert_allclose(got, IMAGES[:, :, [1, 2, 3, 4, 5, 6, 7, 7]], atol=1e-6)
    each = ops.image.affine_transform(IMAGES, np.stack([shift, shift * [1, 0, 0, 0, 1, 0, 0, 0]]))
    np.testing.assert_allclose(each.numpy()[1], IMAGES[1], atol=1e-6)
    with pytest.raises(ValueError, match="perspective"):
        ops.image.affine_transform(IMAGES, shift + 1)


def test_a_mixer_of_patches_is_saved(tmp_path):
    x = densa.Input((8, 8, 3))
    patches = ops.image.extract_patches(ops.image.resize(x, (4, 4)), 2)
    model = densa.Model(x, densa.layers.Dense(2)(densa.layers.Flatten()(patches)))
    model.save(tmp_path / "m.densa")
    images = RNG.uniform(size=(3, 8, 8, 3)).astype("f4")
    again = densa.saving.load_model(tmp_path / "m.densa")
    np.testing.assert_array_equal(
        again.predict(images, verbose=0), model.predict(images, verbose=0)
    )


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32", "int64"])
def test_places_outside_stay_outside(dtype):
    """The numbers of places must not wrap to other places in the type of the indices."""
    places = np.array([[4, 0], [9, 3], [100, 1], [3, 2]], dtype)
    expected = np.zeros((4, 100), "f4")
    expected[3, 2] = 4.0
    values = np.float32([1, 2, 3, 4])
    np.testing.assert_array_equal(ops.scatter(places, values, (4, 100)).numpy(), expected)
    found = ops.scatter_update(np.zeros((4, 100), "f4"), places, values)
    np.testing.assert_array_equal(found.numpy(), expected)


def test_groups_without_rows_and_of_unsigned_numbers():
    none, ids = np.zeros((0, 2), "f4"), np.zeros(0, "i4")
    assert ops.segment_max(none, ids, 3).numpy().tolist() == [[-np.inf] * 2] * 3
    assert ops.segment_min(none, ids, 3).numpy().tolist() == [[np.inf] * 2] * 3
    assert ops.segment_prod(none, ids, 3).numpy().tolist() == [[1.0] * 2] * 3
    same = ops.scatter_update(X, np.zeros((0, 2), "i4"), np.zeros(0, "f4"), reduction="max")
    np.testing.assert_array_equal(same.numpy(), X)
    for group in (ops.segment_sum, ops.segment_max):
        assert group([1.0, 2.0], np.uint8([0, 255])).shape == (256,)
        assert group([], np.uint8([])).shape == (0,)
    assert ops.bincount(np.uint8([1, 0, 1])).numpy().tolist() == [1, 2]


@pytest.mark.parametrize(("dtype", "big"), [("int32", 2**24), ("int64", 2**40)])
def test_whole_numbers_of_groups_are_summed_exactly(dtype, big):
    rows = np.array([big + 1, 1, 7], dtype)
    assert ops.segment_sum(rows, [0, 0, 1]).numpy().tolist() == [big + 2, 7]
    assert ops.scatter([[0], [0], [2]], rows, (3,)).numpy().tolist() == [big + 2, 0, 7]
    found = ops.scatter_update(rows, [[0]], np.array([1], dtype), reduction="add")
    assert found.dtype == dtype
    assert found.numpy().tolist() == [big + 2, 1, 7]


@pytest.mark.parametrize("method", ["linear", "lower", "higher", "midpoint", "nearest"])
def test_quantiles_take_the_elements_that_numpy_takes(method):
    for size in (26, 46, 51):
        x = np.append(np.arange(size, dtype="f4"), np.float32(np.nan))
        for share in (0.28, 0.3, 0.56, 0.58, 0.59, 0.6, 0.7):
            expected = np.nanquantile(x.astype("f8"), share, method=method)
            found = ops.nanquantile(x, share, method=method)
            assert found.dtype == "float32"
            np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_vectorize_in_a_recorded_model_knows_the_rows():
    class Lengths(densa.layers.Layer):
        def call(self, x):
            return ops.vectorize(lambda a: a * ops.sum(a), signature="(n)->(n)")(x)

    model = densa.Sequential([densa.Input((3,)), Lengths()])
    expected = X * X.sum(1, keepdims=True)
    np.testing.assert_allclose(model.predict(X, verbose=0), expected, rtol=1e-5)


def test_what_is_not_finite_stays_in_its_group():
    x = np.float32([np.inf, 1, np.nan, 2])
    np.testing.assert_array_equal(ops.segment_sum(x, [0, 1, -1, 1], 3), [np.inf, 3, 0])
    np.testing.assert_array_equal(ops.scatter([[0], [-7]], x[1:3], (3,)), [1, 0, 0])
    np.testing.assert_array_equal(ops.bincount([0, 1, 1], weights=x[1:]), [1, np.nan])
    old = ops.scatter_update(np.ones(3, "f4"), [[2], [0]], x[:2], "add")
    np.testing.assert_array_equal(old, [2, 1, np.inf])


def test_segment_sum_has_the_gradient_of_each_group():
    x = densa.Variable(np.arange(6.0).reshape(3, 2), dtype="float64")
    ops.sum(ops.segment_sum(x, [0, -1, 1], 2) * np.array([[1.0, 2.0], [3.0, 4.0]])).backward()
    np.testing.assert_array_equal(x.grad, [[1, 2], [0, 0], [3, 4]])
