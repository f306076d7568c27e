"""The doctor and models of other kinds: subclasses, ids, loss scales, eager optimizers."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa.callbacks import Doctor

L = densa.layers


def fitted(model, x, y, **arguments):
    doctor = Doctor(2, verbose=0)
    model.fit(x, y, epochs=2, batch_size=16, verbose=0, callbacks=[doctor], **arguments)
    assert doctor.health["step"] == list(range(0, 2 * -(-len(y) // 16), 2))
    assert np.isfinite(doctor.health["gradient_norm"]).all()
    return doctor


def numbers():
    x = np.random.default_rng(0).normal(size=(100, 4)).astype("float32")
    return x, x[:, :1]


def plain(optimizer):
    model = densa.Sequential([densa.Input((4,)), L.Dense(8, "relu"), L.Dense(1)])
    model.compile(optimizer, "mse")
    return model


def test_a_subclass():
    class Two(densa.Model):
        def __init__(self):
            super().__init__()
            self.one, self.two = L.Dense(8, "tanh"), L.Dense(1)

        def call(self, x):
            return self.two(self.one(x))

    model = Two()
    model.compile("sgd", "mse")
    x, y = numbers()
    assert len(fitted(model, 900 * x, y).health["layers"]) == 2
    assert "unscaled_inputs" in [finding.id for finding in model.diagnose(900 * x, y)]


def test_ids_and_an_embedding():
    ids = np.random.default_rng(0).integers(0, 9, (100, 3))
    model = densa.Sequential(
        [densa.Input((3,), dtype="int32"), L.Embedding(9, 4), L.Flatten(), L.Dense(2, "softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    fitted(model, ids, ids[:, 0] % 2)


@pytest.mark.parametrize(
    "arguments",
    [{"use_ema": True}, {"gradient_accumulation_steps": 2}, {"clipvalue": 0.1}, {"clipnorm": 1.0}],
)
def test_optimizers_that_run_op_by_op(arguments):
    fitted(plain(densa.optimizers.Adam(0.01, **arguments)), *numbers())


def test_a_loss_scale():
    densa.config.set_dtype_policy("mixed_float16")
    try:
        doctor = fitted(plain("adam"), *numbers())
        assert doctor.health["rate"][0] == pytest.approx(0.001)
    finally:
        densa.config.set_dtype_policy(None)


def test_positions_share_their_units():
    x = np.random.default_rng(0).normal(size=(100, 5, 4)).astype("float32")
    model = densa.Sequential(
        [densa.Input((5, 4)), L.Activation("relu", name="d"), L.Flatten(), L.Dense(1)]
    )
    model.compile("sgd", "mse")
    doctor = Doctor(1, verbose=0)
    model.fit(x, x[:, 0, :1], batch_size=100, shuffle=False, verbose=0, callbacks=[doctor])
    wanted = np.maximum(x.astype("float64"), 0)
    found = doctor.health["layers"]["d"]
    np.testing.assert_allclose(found["mean"], [wanted.mean()], rtol=1e-4)
    np.testing.assert_allclose(found["spread"], [wanted.std()], rtol=1e-3)


def test_a_step_that_needs_its_rows_says_so(capsys):
    x = np.random.default_rng(0).normal(size=(100, 5, 4)).astype("float32")
    mixed = L.EinsumDense("abc,bcd->abd", output_shape=(5, 3))  # its gradient reshapes by the rows
    model = densa.Sequential([densa.Input((5, 4)), mixed, L.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, x[..., :1], verbose=0, callbacks=[Doctor(1)])
    assert "no statistics of the steps: NeedsRows" in capsys.readouterr().out


def test_an_error_in_a_hook_leaves_the_model_usable():
    class Fails(densa.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise RuntimeError("stop")

    x, y = numbers()
    model = plain("sgd")
    doctor = Doctor(1, verbose=0)
    with pytest.raises(RuntimeError, match="stop"):
        model.fit(x, y, verbose=0, callbacks=[doctor, Fails()])
    assert model.fit(x, y, epochs=1, verbose=0, callbacks=[doctor]).health["step"] == [1, 2, 3, 4]


def test_diagnose_takes_no_more_batches_than_it_looks_at():
    x, y = numbers()
    given = []

    def batches():
        for i in range(9):
            given.append(i)
            yield x[:10], y[:10]

    model = plain("sgd")
    model.diagnose(batches(), steps=3)
    assert len(given) <= 4  # one may be read ahead, to learn its kind
    with pytest.raises(ValueError, match="steps"):
        model.diagnose(x, y, steps=0)
