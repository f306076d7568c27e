"""Layer-wise pretraining, transfer and tied weights; the code of docs/pretraining.md."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import densa
from densa import layers, models

RNG = np.random.default_rng(12)
X = RNG.standard_normal((160, 8)).astype("f4")
Y = (X[:, :3].sum(axis=1, keepdims=True) > 0).astype("f4")
DOCS = Path(__file__).resolve().parents[2] / "docs" / "pretraining.md"


@pytest.fixture(params=[False, True], ids=["plan", "eager"])
def eager(request):
    return request.param


def net(*hidden, seed=0, activation="tanh", eager=False, optimizer="adam"):
    densa.utils.set_random_seed(seed)
    made = densa.Sequential(
        [
            densa.Input((8,)),
            *(layers.Dense(n, activation) for n in hidden),
            layers.Dense(1, "sigmoid"),
        ]
    )
    made.compile(optimizer, "binary_crossentropy", run_eagerly=eager)
    return made


def low_rank(rows=300):
    rng = np.random.default_rng(4)
    return (np.tanh(rng.standard_normal((rows, 2))) @ rng.standard_normal((2, 8))).astype("f4")


def test_pretraining_gives_back_what_a_normalization_gives():
    x = low_rank() * 1000 + 5000
    densa.utils.set_random_seed(0)
    norm = layers.Normalization()
    norm.adapt(x)
    body = [layers.Dense(6, "tanh"), layers.Dense(3, "tanh"), layers.Dense(1)]
    model = densa.Sequential([densa.Input((8,)), norm, *body])
    start = model.get_weights()
    histories = models.pretrain(model, x, epochs=4)
    # The mean square of the normalized inputs is 1; of the raw ones it is millions.
    assert histories[0].history["loss"][0] < 2
    bare = densa.Sequential(
        [densa.Input((8,)), *(type(d).from_config(d.get_config()) for d in body)]
    )
    bare.set_weights(start[-6:])
    densa.utils.set_random_seed(3)
    models.pretrain(bare, norm(x).numpy(), epochs=4)
    densa.utils.set_random_seed(3)
    model.set_weights(start)
    models.pretrain(model, x, epochs=4)
    for a, b in zip(model.get_weights()[-6:], bare.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_layers_in_front_that_draw_or_train_belong_to_the_first_block():
    from densa.models.pretraining import _split

    front = [layers.Flatten(), layers.Rescaling(0.5)]
    for kind in (layers.Dropout(0.5), layers.GaussianNoise(0.1), layers.BatchNormalization()):
        model = densa.Sequential(
            [densa.Input((8,)), *front, kind, layers.Dense(2), layers.Dense(1)]
        )
        before, rest = _split(model.layers)
        assert before == front
        assert rest[0] is kind


def test_pretraining_trains_the_lower_layers_alone():
    densa.utils.set_random_seed(0)
    model = densa.Sequential(
        [
            densa.Input((8,)),
            layers.Dense(6, use_bias=False),
            layers.BatchNormalization(),
            layers.Activation("tanh"),
            layers.Dense(3, "tanh"),
            layers.Dense(1),
        ]
    )
    before = model.get_weights()
    histories = models.pretrain(model, low_rank(), epochs=30, corruption=0.1)
    assert len(histories) == 2
    for history in histories:
        assert history.history["loss"][-1] < 0.7 * history.history["loss"][0]
    after = model.get_weights()
    changed = [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    assert changed == [True] * 7 + [False, False]
    assert "off the fast path" not in histories[0].model.explain_plan()
    model.compile("adam", "mse")
    model.fit(low_rank(), np.ones((300, 1)), verbose=0)


def test_what_is_kept_says_what_the_input_was():
    """A linear code of two numbers is enough for data of rank two, whatever the labels."""
    x = low_rank()
    model = densa.Sequential([densa.Input((8,)), layers.Dense(2), layers.Dense(1)])

    def left(model):  # the part of the input that no linear map gives back, in float64
        code = np.c_[densa.Sequential(model.layers[:1]).predict(x, verbose=0), np.ones(len(x))]
        code = code.astype("f8")
        rest = x - code @ np.linalg.lstsq(code, x.astype("f8"), rcond=None)[0]
        return (rest**2).sum() / ((x - x.mean(axis=0)) ** 2).sum()

    model.layers[0].kernel.assign(np.eye(8, 2) * [1, 0])  # one useful number only
    assert left(model) > 0.05
    models.pretrain(model, x, epochs=100, optimizer=densa.optimizers.Adam(0.02))
    assert left(model) < 0.02


def test_pretraining_of_images_and_all_layers():
    model = densa.Sequential([densa.Input((2, 4)), layers.Flatten(), layers.Dense(5, "relu")])
    assert len(models.pretrain(model, X.reshape(-1, 2, 4), epochs=1, keep_last=0)) == 1


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: models.pretrain(net(4).layers[0], X), TypeError, "expects a Sequential"),
        (lambda: models.pretrain(densa.Sequential([layers.Dense(1)]), X), ValueError, "not built"),
        (lambda: models.pretrain(net(), X), ValueError, "has no dense layer but the last 1"),
        (lambda: models.pretrain(net(4), X, corruption=1.0), ValueError, r"lie in \[0, 1\)"),
        (lambda: models.pretrain(net(4), X, keep_last=1.5), TypeError, "keep_last must be a whole"),
    ],
)
def test_pretraining_refuses(make, error, says):
    with pytest.raises(error, match=says):
        make()


def test_shared_layers_are_trained_through_either_model(eager):
    a = net(6, eager=eager)
    b = densa.Sequential(a.layers[:-1])
    b.add(layers.Dense(1))
    b.compile("sgd", "mse", run_eagerly=eager)
    before = a.get_weights()[0]
    b.fit(X, Y, verbose=0)
    assert not np.array_equal(before, a.get_weights()[0])
    np.testing.assert_array_equal(a.get_weights()[0], b.get_weights()[0])


def test_freezing_takes_effect_when_compiled_again(eager):
    model = net(6, 5, eager=eager)
    model.layers[0].trainable = False
    model.compile("sgd", "binary_crossentropy", run_eagerly=eager)
    assert [v.path for v in model.trainable_variables] == [
        v.path for layer in model.layers[1:] for v in layer.variables
    ]
    for unfrozen in range(3):
        for layer in model.layers[: 2 - unfrozen]:
            layer.trainable = False
        for layer in model.layers[2 - unfrozen :]:
            layer.trainable = True
        model.compile("sgd", "binary_crossentropy", run_eagerly=eager)
        before = model.get_weights()
        model.fit(X, Y, verbose=0)
        same = [np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
        assert same == [True] * (4 - 2 * unfrozen) + [False] * (2 + 2 * unfrozen)


class Tied(layers.Layer):
    def __init__(self, dense, **kwargs):
        super().__init__(**kwargs)
        self.dense = dense

    def call(self, x):
        return densa.ops.matmul(x, densa.ops.transpose(self.dense.kernel))


def test_tied_weights_get_both_gradients(eager):
    densa.utils.set_random_seed(1)
    code = layers.Dense(3, use_bias=False)
    model = densa.Sequential([densa.Input((8,)), code, Tied(code)])
    model.compile(densa.optimizers.SGD(0.5), "mse", run_eagerly=eager)
    assert len(model.trainable_variables) == 1
    w = model.get_weights()[0].astype("f8")
    model.fit(X, X, batch_size=160, verbose=0)
    d = 2 * (X @ w @ w.T - X) / X.size
    due = w - 0.5 * (X.T @ d @ w + d.T @ X @ w)
    np.testing.assert_allclose(model.get_weights()[0], due, rtol=1e-4, atol=1e-6)
    assert eager == ("off the fast path" in model.explain_plan())


@pytest.mark.cpu_only("its trainings take long in emulation")
def test_the_document_runs(capsys):
    names: dict = {}
    blocks = re.findall(r"^```python\n(.*?)^```", DOCS.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) > 12
    for code in blocks:
        exec(compile(code, str(DOCS), "exec"), names)
        out = capsys.readouterr().out
        for expected in re.findall(r"^print\(.*\)  # (.*)$", code, re.MULTILINE):
            assert expected in out
