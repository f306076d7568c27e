"""The TensorBoard callback, read back by TensorBoard's own reader."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest

import densa
from densa import layers


def model(optimizer="sgd", **options):
    densa.utils.set_random_seed(2)
    made = densa.Sequential(
        [densa.Input((3,), name="in"), layers.Dense(4, "tanh", name="a"), layers.Dense(1, name="b")]
    )
    made.compile(optimizer, "mse", metrics=["mae"], **options)
    return made


def data():
    x = np.random.default_rng(0).standard_normal((40, 3)).astype("f4")
    return x, x[:, :1]


def test_without_tensorboard_the_error_says_what_to_install():
    code = """
        import sys
        sys.modules["tensorboard"] = None
        import densa, numpy as np
        model = densa.Sequential([densa.Input((1,)), densa.layers.Dense(1)])
        model.compile("sgd", "mse")
        x = np.ones((4, 1), "f4")
        try:
            model.fit(x, x, verbose=0, callbacks=[densa.callbacks.TensorBoard("logs")])
        except ImportError as error:
            assert int(model.optimizer.iterations) == 0
            assert "densa[tensorboard]" in str(error), error
        else:
            raise SystemExit("no error")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=300)


def read(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), size_guidance={"histograms": 0, "scalars": 0})
    return found.Reload()


@pytest.fixture
def board():
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    return densa.callbacks.TensorBoard


@pytest.mark.parametrize("eager", [False, True], ids=["plan", "eager"])
def test_scalars_histograms_and_graph(tmp_path, board, eager):
    x, y = data()
    made = model(densa.optimizers.SGD(0.1), run_eagerly=eager)
    gradients = []
    note = densa.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: gradients.append(
            {v.path: np.array(g) for v, g in made.optimizer.last_gradients}
        )
    )
    writes = board(
        tmp_path,
        histogram_freq=2,
        update_freq=2,
        write_steps_per_second=True,
        write_gradients=True,
    )
    history = made.fit(x, y, 8, 3, 0, validation_data=(x, y), callbacks=[note, writes]).history
    train, validation = read(tmp_path / "train"), read(tmp_path / "validation")
    for tag in ("loss", "mae"):
        values = [e.value for e in train.Scalars(f"epoch_{tag}")]
        np.testing.assert_allclose(values, history[tag], rtol=1e-6)
        values = [e.value for e in validation.Scalars(f"epoch_{tag}")]
        np.testing.assert_allclose(values, history[f"val_{tag}"], rtol=1e-6)
    assert [e.step for e in train.Scalars("batch_loss")] == [2, 4, 6, 8, 10, 12, 14]
    rates = [e.value for e in train.Scalars("epoch_learning_rate")]
    np.testing.assert_allclose(rates, [0.1] * 3, rtol=1e-6)
    assert len(train.Scalars("epoch_steps_per_second")) == 3
    for variable in made.weights:
        weights = train.Histograms(variable.path)
        assert [e.step for e in weights] == [0, 2]
        last = weights[-1].histogram_value
        assert last.num == variable.numpy().size
        assert last.sum == pytest.approx(float(variable.numpy().sum()), abs=1e-5)
        gradient = train.Histograms(f"{variable.path}/gradient")[-1].histogram_value
        expected = gradients[-1][variable.path]
        assert gradient.min == pytest.approx(float(expected.min()))
        assert sum(gradient.bucket) == expected.size
    nodes = {node.name: list(node.input) for node in train.Graph().node}
    assert nodes["a"] == ["in"]
    assert nodes["b"] == ["a"]
    assert made.optimizer.can_fuse(made.trainable_variables)
    assert made.optimizer.last_gradients == []


def test_the_weights_do_not_depend_on_it(tmp_path, board):
    x, y = data()
    weights = []
    for given in ([], [board(tmp_path, histogram_freq=1, write_gradients=True)]):
        made = model("adam")
        made.fit(x, y, 8, 2, 0, callbacks=given)
        weights.append(made.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_evaluations_count_by_iterations(tmp_path, board):
    x, y = data()
    made = model()
    made.fit(x, y, 8, 1, 0)
    loss = made.evaluate(x, y, verbose=0, callbacks=[board(tmp_path)])[0]
    (event,) = read(tmp_path / "validation").Scalars("evaluation_loss_vs_iterations")
    assert (event.step, event.value) == (5, pytest.approx(loss))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"histogram_freq": -1}, ValueError),
        ({"histogram_freq": 0.5}, TypeError),
        ({"update_freq": "step"}, ValueError),
        ({"update_freq": 0}, ValueError),
        ({"write_gradients": True}, ValueError),
    ],
)
def test_bad_arguments_are_refused(tmp_path, arguments, error):
    with pytest.raises(error, match="TensorBoard: "):
        densa.callbacks.TensorBoard(tmp_path, **arguments)
