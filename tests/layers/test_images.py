"""Image augmentation: what each layer may make of an image, how often, and where it acts."""

from __future__ import annotations

import numpy as np
import pytest

import densa

L = densa.layers
RNG = np.random.default_rng(8)
X = RNG.uniform(0, 1, (200, 6, 8, 2)).astype("float32")
LAYERS = {
    "RandomFlip": lambda **k: L.RandomFlip(seed=1, **k),
    "RandomTranslation": lambda **k: L.RandomTranslation(0.2, (-0.1, 0.3), seed=1, **k),
    "RandomRotation": lambda **k: L.RandomRotation(0.1, seed=1, **k),
    "RandomZoom": lambda **k: L.RandomZoom((-0.3, 0.2), seed=1, **k),
    "RandomZoom, both": lambda **k: L.RandomZoom(0.2, 0.3, "constant", seed=1, **k),
    "RandomCrop": lambda **k: L.RandomCrop(4, 5, seed=1, **k),
    "RandomBrightness": lambda **k: L.RandomBrightness(0.2, (0, 1), seed=1, **k),
    "RandomContrast": lambda **k: L.RandomContrast(0.5, (0, 1), seed=1, **k),
}


def outputs(layer, x=X, training=True):
    return layer(x, training=training).numpy()


# ---- all of them ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS)
def test_inference_passes_images_on(name):
    layer = LAYERS[name]()
    y = outputs(layer, training=False)
    if name != "RandomCrop":
        np.testing.assert_array_equal(y, X)
    assert layer.weights == []
    assert y.shape[1:] == layer.compute_output_shape(X.shape)[1:]
    assert layer(densa.KerasTensor((None, *X.shape[1:]))).shape == (None, *y.shape[1:])


@pytest.mark.parametrize("name", LAYERS)
def test_each_image_has_numbers_of_its_own_that_a_seed_repeats(name):
    same = np.repeat(X[:1], 50, 0)
    layer = LAYERS[name]()
    y = outputs(layer, same)
    assert len({image.tobytes() for image in y}) >= (4 if name == "RandomFlip" else 10)
    again = LAYERS[name]()
    np.testing.assert_array_equal(outputs(again, same), y)
    assert np.any(outputs(again, same) != y)
    assert np.any(layer(same).numpy() != same[:, : y.shape[1], : y.shape[2]])  # by default
    text = L.serialize(layer)
    copy = L.deserialize(text)
    assert L.serialize(copy) == text
    np.testing.assert_array_equal(outputs(copy, same), y)


@pytest.mark.parametrize("name", LAYERS)
def test_channels_first(name):
    y = outputs(LAYERS[name](data_format="channels_first"), X.transpose(0, 3, 1, 2))
    # Contrast takes means, whose sums have another order.
    np.testing.assert_allclose(y.transpose(0, 2, 3, 1), outputs(LAYERS[name]()), atol=5e-7)
    y = outputs(LAYERS[name](data_format="channels_first"), X.transpose(0, 3, 1, 2), False)
    np.testing.assert_array_equal(y.transpose(0, 2, 3, 1), outputs(LAYERS[name](), X, False))


@pytest.mark.parametrize("name", LAYERS)
def test_one_image_bytes_and_dictionaries(name):
    one = outputs(LAYERS[name](), X[0])
    np.testing.assert_array_equal(one, outputs(LAYERS[name](), X[:1])[0])
    whole = (X * 255).astype("uint8")
    y = outputs(LAYERS[name](), whole)
    assert y.dtype == "float32"
    np.testing.assert_array_equal(y, outputs(LAYERS[name](), whole.astype("float32")))
    labels = np.arange(200)
    both = LAYERS[name]()({"images": X, "labels": labels}, training=True)
    np.testing.assert_array_equal(both["images"].numpy(), outputs(LAYERS[name]()))
    np.testing.assert_array_equal(both["labels"].numpy(), labels)
    assert outputs(LAYERS[name](), X[:0]).shape == (0, *y.shape[1:])


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_policies_round_at_the_end(name, policy):
    y = LAYERS[name](dtype=policy)(X, training=True)
    assert str(y.dtype) == policy.removeprefix("mixed_")
    wanted = outputs(LAYERS[name]())
    np.testing.assert_allclose(y.numpy().astype("float32"), wanted, rtol=2**-8, atol=1e-7)


def model_of(name, eager=False):
    densa.utils.set_random_seed(2)
    model = densa.Sequential(
        [densa.Input(X.shape[1:]), LAYERS[name](), L.Flatten(), L.Dense(3, "softmax")]
    )
    model.compile(densa.optimizers.SGD(0.1), "sparse_categorical_crossentropy", run_eagerly=eager)
    return model


Y = RNG.integers(0, 3, 200)


@pytest.mark.parametrize("name", LAYERS)
def test_native_steps_have_the_numbers_of_eager_ones(name):
    native, eager = model_of(name), model_of(name, eager=True)
    losses = [
        m.fit(X, Y, batch_size=64, epochs=2, shuffle=False, verbose=0).history["loss"]
        for m in (native, eager)
    ]
    plans = native._runner("train")._plans
    assert plans
    assert all(plan is not None for plan in plans.values()), "it ran eagerly"
    np.testing.assert_allclose(*losses, rtol=1e-5)
    for a, b in zip(native.get_weights(), eager.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", LAYERS)
def test_labels_stay_with_their_images(name):
    """What every image is changed to is known by its one bright colour."""
    x = np.zeros((90, 6, 8, 3), "float32")
    labels = np.arange(90) % 3
    x[np.arange(90), :, :, labels] = 1.0
    layer = L.RandomContrast(0.0, (0, 1)) if name == "RandomContrast" else LAYERS[name]()
    model = densa.Sequential([densa.Input((6, 8, 3)), layer, L.Flatten(), L.Dense(3, "softmax")])
    model.compile(
        densa.optimizers.Adam(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    history = model.fit(x, labels, epochs=12, batch_size=30, verbose=0).history
    assert history["accuracy"][-1] > 0.95
    assert model.evaluate(x, labels, verbose=0)[1] == 1.0


@pytest.mark.parametrize("name", LAYERS)
def test_frozen_networks_leave_them_out(name):
    model = model_of(name)
    predictor = model.freeze()
    np.testing.assert_allclose(predictor(X), model.predict(X, verbose=0), rtol=1e-5, atol=1e-6)
    if name != "RandomCrop":
        assert "affine" not in str(predictor.certificate)
        assert predictor.certificate.same_bits


@pytest.mark.parametrize("name", ["RandomRotation", "RandomContrast"])
def test_gradients_go_through(name):
    scale = L.BatchNormalization()
    model = densa.Sequential(
        [densa.Input(X.shape[1:]), scale, LAYERS[name](), L.Flatten(), L.Dense(3, "softmax")]
    )
    model.compile(densa.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    before = scale.gamma.numpy()
    model.fit(X, Y, verbose=0)
    assert np.all(scale.gamma.numpy() != before)


def test_a_resumed_training_draws_what_an_unbroken_one_does(tmp_path):
    whole, half = model_of("RandomRotation"), model_of("RandomRotation")
    whole.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    half.fit(X, Y, shuffle=False, verbose=0)
    half.save(tmp_path / "half.densa")
    other = densa.saving.load_model(tmp_path / "half.densa")
    other.fit(X, Y, initial_epoch=1, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(whole.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# ---- each by itself ------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["horizontal", "vertical", "horizontal_and_vertical"])
def test_flips(mode):
    y = outputs(L.RandomFlip(mode, seed=3))
    kinds = {
        (False, False): X,
        (True, False): X[:, :, ::-1],
        (False, True): X[:, ::-1],
        (True, True): X[:, ::-1, ::-1],
    }
    counts = {}
    for image in range(200):
        (kind,) = [k for k, v in kinds.items() if np.array_equal(y[image], v[image])]
        counts[kind] = counts.get(kind, 0) + 1
    wanted = {
        k for k in kinds if (not k[0] or "horizontal" in mode) and (not k[1] or "ver" in mode)
    }
    assert set(counts) == wanted
    share = 200 / len(wanted)
    assert all(abs(count - share) < 4 * np.sqrt(share) for count in counts.values())


def moments_of_a_dot(y):
    """Where the middle of what is bright lies: (column, row) of each image."""
    weights = y[..., 0] / y[..., 0].sum((1, 2), keepdims=True)
    rows, columns = np.mgrid[: y.shape[1], : y.shape[2]]
    return (weights * columns).sum((1, 2)), (weights * rows).sum((1, 2))


def dots(column, row, size=41, count=400):
    x = np.zeros((count, size, size, 1), "float32")
    x[:, row, column] = 1.0
    return x


def test_translations_are_shares_of_the_size():
    layer = L.RandomTranslation((0.1, 0.2), (-0.3, 0.1), "constant", seed=5)
    columns, rows = moments_of_a_dot(outputs(layer, dots(20, 20)))
    for moved, low, high in ((rows, 0.1, 0.2), (columns, -0.3, 0.1)):
        shares = (moved - 20) / 41
        assert low - 1e-5 <= shares.min() < low + 0.01 * (high - low) * 5
        assert high - 0.01 * (high - low) * 5 < shares.max() <= high + 1e-5
        assert shares.mean() == pytest.approx((low + high) / 2, abs=0.2 * (high - low))
    assert abs(np.corrcoef(rows, columns)[0, 1]) < 0.2


def test_rotations_turn_counter_clockwise_around_the_middle():
    layer = L.RandomRotation((0.05, 0.2), "constant", seed=5)
    columns, rows = moments_of_a_dot(outputs(layer, dots(35, 20)))  # to the right of the middle
    angles = np.arctan2(-(rows - 20), columns - 20) / (2 * np.pi)  # rows count downwards
    assert 0.045 < angles.min() < 0.06
    assert 0.19 < angles.max() < 0.205
    np.testing.assert_allclose(np.hypot(rows - 20, columns - 20), 15, atol=0.3)
    x = dots(35, 20, count=1)
    quarter = outputs(L.RandomRotation((0.25, 0.25)), x)
    np.testing.assert_allclose(quarter[0, :, :, 0], np.rot90(x[0, :, :, 0]), atol=1e-4)


def test_zooms_keep_the_middle_and_the_proportions():
    x = dots(28, 20) + dots(20, 28)
    y = outputs(L.RandomZoom((-0.5, -0.2), fill_mode="constant", seed=5), x)
    columns, rows = moments_of_a_dot(y)
    np.testing.assert_allclose(columns, rows, atol=0.05)
    scales = 8 / (2 * (columns - 20))
    assert 0.48 < scales.min() < 0.53
    assert 0.77 < scales.max() < 0.82
    apart = L.RandomZoom((0.2, 0.5), (-0.5, -0.2), "constant", seed=5)
    columns, rows = moments_of_a_dot(outputs(apart, dots(24, 24)))
    # Bilinear samples of one pixel: its middle stays where the zoom puts it to half a pixel.
    assert np.all(rows < 24)
    assert np.all(columns > 24)


def test_crops():
    y = outputs(L.RandomCrop(4, 5, seed=7))
    places = set()
    for image in range(200):
        found = [
            (i, j)
            for i in range(3)
            for j in range(4)
            if np.array_equal(y[image], X[image, i : i + 4, j : j + 5])
        ]
        assert len(found) == 1
        places.update(found)
    assert len(places) == 12


@pytest.mark.parametrize(
    ("size", "window"),
    [
        ((3, 4), (0, 6, 0, 8)),
        ((6, 6), (0, 6, 1, 7)),
        ((2, 8), (2, 4, 0, 8)),
        ((12, 16), (0, 6, 0, 8)),
    ],
)
@pytest.mark.parametrize("training", [False, True])
def test_crops_of_the_middle(size, window, training):
    if training and size[0] <= 6:
        pytest.skip("these are cut at random")
    top, bottom, left, right = window
    x = X[:, top:bottom, left:right].astype("float64")
    wanted = x
    for axis, target in ((1, size[0]), (2, size[1])):
        n = x.shape[axis]
        places = np.clip((np.arange(target) + 0.5) * n / target - 0.5, 0, n - 1)
        low = np.floor(places).astype(int)
        share = (places - low).reshape([-1 if a == axis else 1 for a in range(4)])
        high = np.minimum(low + 1, n - 1)
        wanted = wanted.take(low, axis) * (1 - share) + wanted.take(high, axis) * share
    np.testing.assert_allclose(outputs(L.RandomCrop(*size), training=training), wanted, atol=1e-6)


def test_brightness_and_contrast():
    grey = np.full((400, 2, 2, 1), 100, "uint8")
    y = outputs(L.RandomBrightness((-0.1, 0.3), seed=2), grey)
    assert np.all(y == y[:, :1, :1])
    change = (y[:, 0, 0, 0] - 100) / 255
    assert -0.1 <= change.min() < -0.09
    assert 0.29 < change.max() <= 0.3
    assert outputs(L.RandomBrightness(1.0, seed=2), grey).max() == 255
    assert outputs(L.RandomBrightness(1.0, seed=2), grey).min() == 0

    y = outputs(L.RandomContrast((0.2, 0.6), (0, 1), seed=2)).astype("float64")
    mean = X.mean((1, 2), keepdims=True)
    inside = (y > 0) & (y < 1) & (np.abs(X - mean) > 0.1)
    factors = np.where(inside, (y - mean) / np.where(inside, X - mean, 1), np.nan)
    of_images = np.nanmean(factors, (1, 2, 3))
    assert np.nanmax(np.abs(factors - of_images[:, None, None, None])) < 1e-4
    assert 0.8 <= of_images.min() < 0.82
    assert 1.58 < of_images.max() <= 1.6
    assert y.min() == 0
    assert y.max() == 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: L.RandomFlip("horizontl"), "Did you mean 'horizontal'"),
        (lambda: L.RandomFlip(data_format="last"), "data_format"),
        (lambda: L.RandomTranslation(1.5, 0), r"height_factor.*\[-1, 1\]"),
        (lambda: L.RandomTranslation(0, (0, 1, 2)), "width_factor"),
        (lambda: L.RandomTranslation("a", 0), "height_factor"),
        (lambda: L.RandomTranslation(0, 0, "reflct"), "Did you mean 'reflect'"),
        (lambda: L.RandomRotation(0.1, interpolation="cubic"), "interpolation"),
        (lambda: L.RandomRotation(float("nan")), "factor"),
        (lambda: L.RandomRotation(True), "factor"),
        (lambda: L.RandomRotation(0.1, fill="wrap"), "Did you mean 'fill_"),
        (lambda: L.RandomZoom(-1.0), r"\(-1, 1\]"),
        (lambda: L.RandomZoom(0.1, (0.0, 2.0)), "width_factor"),
        (lambda: L.RandomCrop(0, 2), "height"),
        (lambda: L.RandomBrightness(2.0), "factor"),
        (lambda: L.RandomBrightness(0.1, value_range=255), "value_range"),
        (lambda: L.RandomContrast(-0.1), r"\[0, 1\]"),
        (lambda: L.RandomContrast(0.1, value_range=(0, "a")), "value_range"),
        (lambda: L.RandomFlip()(X[0, 0]), "expected images"),
        (lambda: L.RandomFlip()(densa.KerasTensor((None, 28, 28))), "Reshape"),
        (lambda: L.RandomFlip()({"images": X, "boxes": X}), "boxes"),
        (lambda: L.RandomFlip(seed=-1), "seed"),
    ],
)
def test_errors(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_sizes_are_whole_numbers():
    with pytest.raises(TypeError, match="width"):
        L.RandomCrop(3, 2.5)


def test_images_are_moved_by_all_threads_with_the_same_bits():
    """In `fit`, before layers with weights and behind them."""
    weights = []
    before = densa.get_num_threads()
    try:
        for threads in (1, 2, 3):
            densa.set_num_threads(threads, exact=True)
            densa.utils.set_random_seed(4)
            model = densa.Sequential(
                [
                    densa.Input(X.shape[1:]),
                    L.RandomRotation(0.1, seed=1),
                    L.Dense(3, activation="tanh"),
                    L.RandomZoom(0.2, seed=2),
                    L.Flatten(),
                    L.Dense(1),
                ]
            )
            model.compile(optimizer="adam", loss="mse")
            model.fit(X[:70], X[:70, 0, 0, :1], epochs=2, batch_size=33, verbose=0)
            text = model.explain_plan()
            assert "op by op" not in text
            parts = text.split("  one thread\n")[1:]
            alone = [part.split("  by ")[0] for part in parts]
            assert not any("affine_transform" in part for part in alone)
            assert "affine_transform_grad" in text
            weights.append(model.get_weights())
    finally:
        densa.set_num_threads(before)
    for other in weights[1:]:
        for a, b in zip(weights[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
