"""Wrong data and wrong settings are refused before anything changes."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from training.cases import classes, linear, regression, two_outputs


def test_wrong_data_names_the_input():
    x, y = regression(20)
    model = linear()
    with pytest.raises(ValueError, match=r"compile\(\)"):
        model.fit(x, y)
    model.compile("sgd", "mse")
    before = model.get_weights()[0]
    name = model.inputs[0].name
    with pytest.raises(ValueError, match=rf"{name}.*\(None, 3\).*\(20, 2\)"):
        model.fit(x[:, :2], y, verbose=0)
    with pytest.raises(ValueError, match=r"'x' sizes: 20\n'y' sizes: 19"):
        model.fit(x, y[:19], verbose=0)
    with pytest.raises(ValueError, match="numbers"):
        model.fit(np.array([["a"]] * 20), y, verbose=0)
    with pytest.raises(ValueError, match="no rows"):
        model.fit(x[:0], y[:0], verbose=0)
    with pytest.raises(ValueError, match="batch_size"):
        model.fit(x, y, batch_size=0, verbose=0)
    with pytest.raises(ValueError, match="validation_split"):
        model.fit(x, y, validation_split=1.5, verbose=0)
    with pytest.raises(ValueError, match="verbose"):
        model.fit(x, y, verbose=7)
    with pytest.raises(ValueError, match="`y` must not be given"):
        model.fit(iter([(x, y)]), y, verbose=0)
    with pytest.raises(ValueError, match="no data"):
        model.fit("data.csv", y, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before)
    pair = two_outputs()
    pair.compile("sgd", ["mse", "mse"])
    with pytest.raises(ValueError, match=r"2 input\(s\) \['a', 'b'\]"):
        pair.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match="'b'"):
        pair.fit({"a": x}, [y, y], verbose=0)
    pair.compile("sgd", {"mein": "mse"})
    with pytest.raises(ValueError, match="main"):
        pair.fit([x, x[:, :2]], [y, y], verbose=0)


@pytest.mark.parametrize("value", [2.5, 32.0, "32", True])
def test_counts_that_are_no_whole_numbers_are_refused(value):
    x, y = regression(20)
    model = linear()
    model.compile("sgd", "mse")
    before = model.get_weights()[0]
    said = f"received {value!r} of type {type(value).__name__}"
    validation = {"validation_data": (x, y)}
    for arguments in (
        {"batch_size": value},
        {"steps_per_epoch": value},
        {"validation_batch_size": value, **validation},
        {"validation_steps": value, **validation},
    ):
        with pytest.raises(TypeError, match=said):
            model.fit(x, y, verbose=0, **arguments)
    for call in (model.evaluate, model.predict):
        for name in ("batch_size", "steps"):
            with pytest.raises(TypeError, match=said):
                call(x, verbose=0, **{name: value})
    np.testing.assert_array_equal(model.get_weights()[0], before)
    assert int(model.optimizer.iterations) == 0


def test_counts_may_be_numpys():
    x, y = regression(20)
    model = linear()
    model.compile("sgd", "mse")
    model.fit(x, y, batch_size=np.int64(4), steps_per_epoch=np.int32(3), verbose=0)
    assert int(model.optimizer.iterations) == 3
    with pytest.raises(ValueError, match="number of steps must be at least 1; received 0"):
        model.fit(x, y, steps_per_epoch=0, verbose=0)


def test_labels_out_of_range_are_refused():
    x, labels = classes(20)
    model = linear(4, 3, activation="softmax")
    model.compile("sgd", "sparse_categorical_crossentropy")
    labels[4] = 3
    with pytest.raises(ValueError, match=r"between 0 and 2.*row 4"):
        model.fit(x, labels, verbose=0)


def test_compile_errors_and_configuration():
    model = linear()
    with pytest.raises(ValueError, match="Did you mean 'adam'"):
        model.compile("adaam", "mse")
    with pytest.raises(ValueError, match="mean_squared_error"):
        model.compile("adam", "mean_square_error")
    with pytest.raises(ValueError, match="accuracy"):
        model.compile("adam", "mse", metrics=["acuracy"])
    with pytest.raises(ValueError, match="list, tuple, or dict"):
        model.compile("adam", "mse", metrics="accuracy")
    with pytest.raises(ValueError, match="steps_per_execution"):
        model.compile("adam", "mse", steps_per_execution=0)
    assert not model.compiled
    model.compile(
        densa.optimizers.Adam(0.01, clipnorm=1.0),
        densa.losses.Huber(2.0),
        metrics=["mae", densa.metrics.RootMeanSquaredError()],
        steps_per_execution=3,
    )
    config = model.get_compile_config()
    again = linear()
    again.compile_from_config(config)
    assert again.get_compile_config() == config
    assert again.optimizer.clipnorm == 1.0
    assert len(again.optimizer.variables) == 2 + 2 * 2


def test_arguments_out_of_range_are_refused_where_they_are_given(tmp_path):
    model = densa.Sequential([densa.Input((2,)), densa.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="shuffle"):
        model.fit(np.ones((4, 2)), np.ones((4, 1)), shuffle="nonsense", verbose=0)
    with pytest.raises(ValueError, match="`shuffle` must be True, False.*received 5"):
        model.fit(np.ones((4, 2)), np.ones((4, 1)), shuffle=5, verbose=0)
    stream = iter([(np.ones((4, 2)), np.ones((4, 1)))])
    with pytest.raises(ValueError, match='"batch"` needs arrays or a PyDataset.*Leave it out'):
        model.fit(stream, shuffle="batch", verbose=0)
    with pytest.raises(ValueError, match="momentum"):
        densa.layers.BatchNormalization(momentum=2.0)
    with pytest.raises(ValueError, match="epsilon"):
        densa.layers.BatchNormalization(epsilon=-1.0)
    with pytest.raises(ValueError, match="k must be at least 1"):
        densa.metrics.TopKCategoricalAccuracy(k=0)
    (tmp_path / "folder.densa").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        model.save(tmp_path / "folder.densa")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({3: 2.0}, "a weight for the class 3, but the classes are 0 to 2"),
        ({-1: 2.0}, "a weight for the class -1"),
        ({1.5: 2.0}, "a weight for the class 1.5"),
        ({float("nan"): 2.0}, "a weight for the class nan"),
        ({"a": 2.0}, "must map class indices to numbers"),
        ({1: float("nan")}, "of class 1 must be a finite number of at least 0; received nan"),
        ({1: -2.0}, "of class 1 must be a finite number of at least 0; received -2.0"),
    ],
)
def test_weights_of_classes_that_do_not_exist(table, says):
    x, labels = classes(30)
    model = linear(4, 3)
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = model.get_weights()[0]
    for fit in (
        lambda: model.fit(x, labels, class_weight=table, verbose=0),
        lambda: model.fit(iter([(x, labels)]), class_weight=table, verbose=0),
        lambda: model.train_on_batch(x, labels, class_weight=table),
    ):
        with pytest.raises(ValueError, match=says):
            fit()
    one_hot = np.eye(3, dtype="f4")[labels]
    model.compile("sgd", "categorical_crossentropy")
    with pytest.raises(ValueError, match=says):
        model.fit(x, one_hot, class_weight=table, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before)
    # Margins have labels -1 and 1.
    model = linear(4, 1)
    model.compile("sgd", "hinge")
    model.fit(x, np.where(labels > 1, 1, -1), class_weight={-1: 2.0, 1: 1.0}, verbose=0)


def test_weights_of_losses_that_do_not_exist():
    model = linear()
    with pytest.raises(
        ValueError, match=r"`loss_weights` has 2 entries but the model has 1 output"
    ):
        model.compile("sgd", "mse", loss_weights=[1, 2])
    with pytest.raises(ValueError, match="`loss_weights`: a weight must be a number, not NaN"):
        model.compile("sgd", "mse", loss_weights=float("nan"))
    with pytest.raises(TypeError, match="`loss_weights`: a weight must be a number"):
        two_outputs().compile("sgd", "mse", loss_weights={"main": "a"})
    assert model.optimizer is None


@pytest.mark.parametrize("eagerly", [False, True])
def test_a_penalty_that_is_no_number(eagerly):
    x, y = regression(20)
    for where, says in (
        ("kernel_regularizer", "of '.*layer/kernel' gave a penalty of shape"),
        ("activity_regularizer", "of the output of layer 'layer' gave a penalty of shape"),
    ):
        layer = densa.layers.Dense(1, name="layer", **{where: densa.ops.square})
        model = densa.Sequential([densa.Input((3,)), layer])
        model.compile("sgd", "mse", run_eagerly=eagerly)
        before = model.get_weights()[0]
        with pytest.raises(ValueError, match=f"regularizer {says}.*densa.ops.sum"):
            model.fit(x, y, verbose=0)
        np.testing.assert_array_equal(model.get_weights()[0], before)
