"""Masks: made, handed on, merged, and left out of losses, metrics and moments."""

import gc
import warnings

import numpy as np
import pytest

import densa
from densa import layers
from densa._masks import any_known, get_mask

RNG = np.random.default_rng(5)
# Five samples of up to four steps with three features; what is padded is 0.
LENGTHS = np.array([4, 1, 3, 0, 2])
KEPT = np.arange(4) < LENGTHS[:, None]
X = np.where(KEPT[..., None], RNG.standard_normal((5, 4, 3)), 0.0).astype("f4")
Y = RNG.standard_normal((5, 4, 2)).astype("f4")


def mask_of(x):
    mask = get_mask(x)
    return None if mask is None else mask.numpy()


def masked(kept=KEPT, x=X, value=0.0):
    """A tensor with a mask."""
    return layers.Masking(value)(np.where(kept[..., None], x, value).astype("f4"))


def test_masking_and_embedding_make_masks():
    x = np.where(KEPT[..., None], X, 7.0).astype("f4")
    x[0, 0, :2] = 7.0  # one feature differs: it counts
    out = layers.Masking(mask_value=7.0)(x)
    np.testing.assert_array_equal(mask_of(out), KEPT)
    np.testing.assert_array_equal(out.numpy(), np.where(KEPT[..., None], x, 0.0))
    ids = np.where(KEPT, RNG.integers(1, 9, KEPT.shape), 0)
    np.testing.assert_array_equal(mask_of(layers.Embedding(9, 2, mask_zero=True)(ids)), KEPT)
    assert mask_of(layers.Embedding(9, 2)(ids)) is None
    for bad, error in ((float("nan"), ValueError), ("0", TypeError)):
        with pytest.raises(error, match="mask_value"):
            layers.Masking(bad)


def test_masks_live_as_long_as_their_tensors():
    gc.collect()  # those of other tests that lie in circles
    out = masked()
    assert any_known()
    del out
    assert not any_known()


@pytest.mark.parametrize(
    "layer",
    [
        layers.Dense(2),
        layers.Activation("tanh"),
        layers.Softmax(),
        layers.Dropout(0.5),
        layers.LayerNormalization(),
        layers.BatchNormalization(),
        layers.GroupNormalization(3),
        layers.TimeDistributed(layers.Dense(2)),
        layers.Lambda(lambda x: x * 2, mask=lambda x, mask: mask),
        densa.Sequential([layers.Dense(3, "relu"), layers.Dense(2)]),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_hand_masks_on(layer):
    for training in (False, True):
        np.testing.assert_array_equal(mask_of(layer(masked(), training=training)), KEPT)
    assert mask_of(layer(X)) is None


def test_a_layer_without_support_says_that_the_mask_is_lost():
    with pytest.warns(UserWarning, match="'flat' .*Flatten.* does not support masks"):
        assert mask_of(layers.Flatten(name="flat")(masked())) is None

    class Own(layers.Layer):
        """Takes the mask and gives another."""

        def call(self, inputs, mask=None):
            self.given = mask
            return inputs * 1.0

        def compute_mask(self, inputs, mask=None):
            return None if mask is None else ~mask

    own = Own()
    np.testing.assert_array_equal(mask_of(own(masked())), ~KEPT)
    np.testing.assert_array_equal(own.given.numpy(), KEPT)
    np.testing.assert_array_equal(mask_of(own(X, mask=~KEPT)), KEPT)
    own(X)
    assert own.given is None


def test_merges():
    other = np.roll(KEPT, 1, axis=0)
    a, b = masked(), masked(other, X[::-1] - 1.0)
    either, both = (KEPT | other), (KEPT & other)[..., None]
    first, second = KEPT[..., None], other[..., None]
    x, y = a.numpy(), b.numpy()
    expected = {
        layers.Add: x + y,
        layers.Average: (x + y) / 2,
        layers.Multiply: np.where(both, x * y, np.where(first, x, np.where(second, y, 0))),
        layers.Maximum: np.where(both, np.maximum(x, y), np.where(first, x, y)),
        layers.Minimum: np.where(both, np.minimum(x, y), np.where(first, x, y)),
    }
    for kind, values in expected.items():
        out = kind()([a, b])
        np.testing.assert_allclose(out.numpy(), values, rtol=1e-6, err_msg=kind.__name__)
        np.testing.assert_array_equal(mask_of(out), either)
        assert mask_of(kind()([a, X])) is None
    # What has no mask counts everywhere.
    np.testing.assert_allclose(
        layers.Maximum()([a, X - 1.0]).numpy(), np.where(first, X, X - 1.0), rtol=1e-6
    )
    np.testing.assert_array_equal(mask_of(layers.Concatenate()([a, b])), either)
    assert mask_of(layers.Concatenate()([a, X])) is None
    sides = layers.Concatenate(axis=1)([a, X, b])
    np.testing.assert_array_equal(mask_of(sides), np.hstack([KEPT, np.ones_like(KEPT), other]))
    assert mask_of(layers.Dot(axes=2)([a, b])) is None
    with pytest.raises(ValueError, match="one entry, a mask or None, for each of the 2 inputs"):
        layers.Add(name="sum").compute_mask([a, b], [None])


def test_moments_of_what_counts():
    """A batch norm's mean and variance, what it trains on and its averages leave padding out."""
    layer = layers.BatchNormalization(momentum=0.5)
    x = RNG.standard_normal((5, 4, 3)).astype("f4")
    out = layer(x, training=True, mask=KEPT)
    rows = x.astype("f8")[KEPT]
    mean, variance = rows.mean(0), rows.var(0)
    np.testing.assert_allclose(out, (x - mean) / np.sqrt(variance + 1e-3), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, 0.5 * mean, rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, 0.5 + 0.5 * variance, rtol=1e-5)
    np.testing.assert_allclose(layer(x, mask=KEPT), layer(x))
    with pytest.raises(ValueError, match="one axis less than the input"):
        layer(x, training=True, mask=KEPT[:, 0])


def test_steps_of_a_sequence_have_their_part_of_the_mask():
    class Counted(layers.Layer):
        _passes_masks = True

        def call(self, inputs, mask=None):
            return inputs * densa.ops.expand_dims(densa.ops.cast(mask, "float32"), -1)

    out = layers.TimeDistributed(Counted())(X + 1.0, mask=KEPT)
    np.testing.assert_allclose(out.numpy(), (X + 1.0) * KEPT[..., None])


def weights(reduction, sample_weight):
    w = KEPT * (1.0 if sample_weight is None else np.asarray(sample_weight).reshape(5, -1))
    return w / {"sum": 1.0, "sum_over_batch_size": KEPT.sum()}.get(reduction, w.sum())


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize(
    "sample_weight", [None, np.arange(5.0), RNG.random((5, 4))], ids=["none", "rows", "steps"]
)
def test_losses_and_metrics_leave_masked_places_out(reduction, sample_weight):
    out = layers.Dense(2)(masked())
    squares = ((out.numpy().astype("f8") - Y) ** 2).mean(-1)
    loss = densa.losses.MeanSquaredError(reduction=reduction)
    expected = (weights(reduction, sample_weight) * squares).sum()
    assert float(loss(Y, out, sample_weight)) == pytest.approx(expected, rel=1e-5)
    metric = densa.metrics.MeanSquaredError()
    metric.update_state(Y, out, sample_weight)
    expected = (weights(None, sample_weight) * squares).sum()
    assert float(metric.result()) == pytest.approx(expected, rel=1e-5)


def test_of_nothing_that_counts_the_loss_is_0():
    out = masked(np.zeros_like(KEPT))
    assert float(densa.losses.MeanSquaredError()(X, out)) == 0.0
    with pytest.raises(ValueError, match=r"mask of shape \(5, 4\).* values of shape \(5,\)"):
        densa.losses.MeanSquaredError()(
            Y[..., 0], layers.Lambda(lambda x: x[..., 0], mask=lambda x, mask: mask)(out)
        )


def sequential():
    stack = [layers.Masking(), layers.Dense(8, "tanh"), layers.BatchNormalization()]
    return densa.Sequential([densa.Input((4, 3)), *stack, layers.Dropout(0.2), layers.Dense(2)])


def functional():
    inputs = densa.Input((4, 3))
    x = layers.Masking()(inputs)
    h = layers.Dense(6, "relu")(x)
    inner = densa.Sequential([layers.Dense(6), layers.LayerNormalization()])
    h = layers.Add()([inner(h), layers.Dense(6)(x)])
    return densa.Model(inputs, layers.Dense(2)(h))


@pytest.mark.parametrize("build", [sequential, functional])
def test_fit_and_evaluate(build):
    """Recorded and op by op alike; padding changes neither loss nor weights."""
    found = []
    for eagerly, filling in ((False, 0.0), (True, 0.0), (False, 50.0)):
        densa.utils.set_random_seed(3)
        model = build()
        model.compile("sgd", "mse", metrics=["mae"], run_eagerly=eagerly)
        y = np.where(KEPT[..., None], Y, filling).astype("f4")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            logs = model.fit(X, y, batch_size=2, epochs=1, shuffle=False, verbose=0).history
        assert eagerly or "off the fast path" not in model.explain_plan()
        found.append((model, logs))
    for other, logs in found[1:]:
        for name, values in logs.items():
            np.testing.assert_allclose(values, found[0][1][name], rtol=1e-4, err_msg=name)
        for a, b in zip(found[0][0].get_weights(), other.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    model = found[0][0]
    errors = model.predict(X, verbose=0).astype("f8")[KEPT] - Y[KEPT]
    scores = model.evaluate(X, Y, batch_size=5, verbose=0, return_dict=True)
    assert scores["loss"] == pytest.approx((errors**2).mean(), rel=1e-4)
    assert scores["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-4)


def test_files_copies_and_frozen_networks(tmp_path):
    model = densa.Sequential(
        [densa.Input((4,), dtype="int32"), layers.Embedding(9, 3, mask_zero=True), layers.Dense(2)]
    )
    model.compile("sgd", "mse")
    ids = np.where(KEPT, 3, 0)
    before = model.evaluate(ids, Y, verbose=0)
    model.save(tmp_path / "m.densa")
    loaded = densa.models.load_model(tmp_path / "m.densa")
    assert loaded.evaluate(ids, Y, verbose=0) == before
    np.testing.assert_array_equal(mask_of(densa.models.clone_model(model)(ids)), KEPT)
    config = layers.Masking(-1.0, name="m").get_config()
    assert layers.Masking.from_config(config).mask_value == -1.0
    model = sequential()
    np.testing.assert_allclose(model.freeze()(X), model(X), rtol=1e-5, atol=1e-6)
    inner = functional()
    np.testing.assert_array_equal(mask_of(inner(X, mask=KEPT)), KEPT)


class Weighed(layers.Layer):
    """Needs a mask already when a model is built."""

    supports_masking = True

    def call(self, inputs, mask=None):
        return inputs * densa.ops.expand_dims(densa.ops.cast(mask, "float32"), -1)


def test_symbolic_tensors_carry_masks():
    inputs = densa.Input((4, 3))
    x = layers.Masking()(inputs)
    assert inputs._keras_mask is None
    assert x._keras_mask.shape == (None, 4)
    assert x._keras_mask.dtype == "bool"
    assert layers.Dense(2)(x)._keras_mask is x._keras_mask
    assert layers.Flatten()(x)._keras_mask is None
    assert layers.Dense(2)(inputs)._keras_mask is None
    sides = layers.Concatenate(axis=1)([x, inputs])
    assert sides._keras_mask.shape == (None, 8)
    model = densa.Model(inputs, [x._keras_mask, sides._keras_mask])
    first, second = model.predict(X, verbose=0)
    np.testing.assert_array_equal(first, KEPT)
    np.testing.assert_array_equal(second, np.hstack([KEPT, np.ones_like(KEPT)]))


def test_a_mask_computed_in_a_graph_is_one_of_its_values(tmp_path):
    inputs = densa.Input((4, 3))
    mask = layers.Masking().compute_mask(inputs)
    out = layers.BatchNormalization()(inputs, mask=mask)
    model = densa.Model(inputs, layers.Dense(2)(out))
    np.testing.assert_array_equal(mask_of(model(X)), KEPT)
    model.save(tmp_path / "m.densa")
    again = densa.models.load_model(tmp_path / "m.densa")
    np.testing.assert_array_equal(mask_of(again(X)), KEPT)
    np.testing.assert_allclose(again.freeze()(X), model(X), rtol=1e-5, atol=1e-6)


def test_layers_that_need_a_mask_are_built_with_one():
    inner = densa.Sequential([densa.Input((4, 3)), layers.Masking(), layers.Dense(3)])

    class Sub(densa.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    for make in (lambda x: layers.Masking()(x), inner, lambda x: Sub()(layers.Masking()(x))):
        inputs = densa.Input((4, 3))
        h = make(inputs)
        assert h._keras_mask.shape == (None, 4)
        model = densa.Model(inputs, Weighed()(h))
        kept = np.broadcast_to(KEPT[..., None], (5, 4, 3))
        assert not model.predict(X, verbose=0)[~kept].any()


def test_the_mask_of_a_tensor_can_be_read_and_set():
    out = masked()
    np.testing.assert_array_equal(out._keras_mask.numpy(), KEPT)
    out._keras_mask = None
    assert get_mask(out) is None
    assert layers.Dense(1)(X)._keras_mask is None
