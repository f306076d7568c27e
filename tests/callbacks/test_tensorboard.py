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


def pixels(png):
    """Height, width and grey values, read by matplotlib."""
    import io

    image = pytest.importorskip("matplotlib.image", reason="matplotlib is not installed")
    return image.imread(io.BytesIO(png))


def test_pictures_of_weights(tmp_path, board):
    x, y = data()
    made = model(densa.optimizers.SGD(0.0))
    kernel = np.array([[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 10.2]], "f4")
    made.layers[0].kernel.assign(kernel)
    made.layers[0].bias.assign([0.0, 4.0, 2.0, 1.0])
    made.fit(x, y, 8, 2, 0, callbacks=[board(tmp_path, 1, write_images=True)])
    train = read(tmp_path / "train")
    path = made.layers[0].kernel.path
    first, second = train.Images(f"{path}/image")
    assert (first.step, second.step, first.height, first.width) == (0, 1, 3, 4)
    grey = pixels(first.encoded_image_string)
    assert grey.shape == (3, 4)
    # One step of 255 greys, rounded to the nearest.
    np.testing.assert_allclose(grey, kernel / 10.2, rtol=0, atol=0.5 / 255 + 1e-6)
    bias = train.Images(f"{made.layers[0].bias.path}/image")[0]
    assert (bias.height, bias.width) == (1, 4)
    np.testing.assert_allclose(
        pixels(bias.encoded_image_string)[0], [0, 1, 0.5, 0.25], rtol=0, atol=0.5 / 255 + 1e-6
    )
    tall = train.Images(f"{made.layers[1].kernel.path}/image")[0]
    assert (tall.height, tall.width) == (1, 4)  # (4, 1) lies on its longer side


def test_a_large_weight_is_drawn_in_part():
    from densa.callbacks.tensorboard_files import weight_picture

    height, width, png = weight_picture(np.ones((3000, 2)))
    assert (height, width) == (2, 1000)
    assert pixels(png).shape == (2, 1000)
    odd = pixels(weight_picture(np.array([0.0, np.nan, 2.0, np.inf, 1.0, -np.inf]))[2])
    np.testing.assert_allclose(odd, [[0, 0, 1, 1, 0.5, 0]], rtol=0, atol=0.5 / 255 + 1e-6)
    assert weight_picture(np.ones((2, 2, 2))) is None
    assert weight_picture(np.ones((0, 2))) is None


def words(name="words"):
    made = densa.Sequential(
        [
            densa.Input((2,), dtype="int32"),
            layers.Embedding(3, 2, name=name),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    made.compile("sgd", "mse")
    return made


@pytest.mark.parametrize("metadata", [None, "labels.tsv", {"words": "labels.tsv"}])
def test_embeddings_for_the_projector(tmp_path, board, metadata):
    from tensorboard.plugins.projector import projector_plugin

    made, x = words(), np.array([[0, 1], [2, 1]])
    (tmp_path / "labels.tsv").write_text("red\ngreen\nblue\n")
    writes = board(tmp_path, embeddings_freq=1, embeddings_metadata=metadata)
    made.fit(x, np.ones((2, 1)), epochs=2, verbose=0, callbacks=[writes])
    table = made.layers[0].embeddings
    found = np.loadtxt(tmp_path / "train" / "words_embeddings.tsv", delimiter="\t", dtype="f4")
    np.testing.assert_array_equal(found, table.numpy())
    from google.protobuf import text_format

    config = text_format.Parse(
        (tmp_path / "train" / "projector_config.pbtxt").read_text(),
        projector_plugin.ProjectorConfig(),
    )
    (told,) = config.embeddings
    assert (told.tensor_name, told.tensor_path) == (table.path, "words_embeddings.tsv")
    if metadata is None:
        assert told.metadata_path == ""
    else:
        labels = tmp_path / "train" / told.metadata_path
        assert labels.read_text().startswith("red")


def test_embeddings_that_are_not_there(tmp_path, board):
    x, y = data()
    with pytest.raises(ValueError, match="model 'sequential.*' has none"):
        model().fit(x, y, verbose=0, callbacks=[board(tmp_path, embeddings_freq=1)])
    writes = board(tmp_path, embeddings_freq=1, embeddings_metadata={"word": "a.tsv"})
    with pytest.raises(ValueError, match=r"names \['word'\]; the Embedding layers are \['words'\]"):
        words().fit(np.zeros((2, 2), int), np.ones((2, 1)), verbose=0, callbacks=[writes])


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"histogram_freq": -1}, ValueError),
        ({"histogram_freq": 0.5}, TypeError),
        ({"update_freq": "step"}, ValueError),
        ({"update_freq": 0}, ValueError),
        ({"write_gradients": True}, ValueError),
        ({"write_images": True}, ValueError),
        ({"profile_batch": 2}, ValueError),
        ({"profile_batch": (1, 3)}, ValueError),
        ({"embeddings_freq": -1}, ValueError),
        ({"embeddings_freq": 1, "embeddings_metadata": 3}, TypeError),
    ],
)
def test_bad_arguments_are_refused(tmp_path, arguments, error):
    with pytest.raises(error, match="TensorBoard: "):
        densa.callbacks.TensorBoard(tmp_path, **arguments)
