"""Keras' small helpers: padded sequences, windows of series, settings, trees."""

import numpy as np
import pytest

import densa
from densa import tree, utils

# Rows: arguments and what Keras 3.15 answers.
PADDED = [
    (([[1, 2, 3], [4], []],), {"maxlen": 2}, [[2, 3], [0, 4], [0, 0]]),
    (([[1.5], [2, 3]],), {"dtype": "float32", "padding": "post"}, [[1.5, 0], [2, 3]]),
    (([[1, 2, 3]],), {"maxlen": 2, "truncating": "post"}, [[1, 2]]),
    (([["a"], ["b", "c"]],), {"dtype": object, "value": "-"}, [["-", "a"], ["b", "c"]]),
    (([[[1, 1]], []],), {}, [[[1, 1]], [[0, 0]]]),
]


@pytest.mark.parametrize(("args", "kwargs", "expected"), PADDED)
def test_pad_sequences(args, kwargs, expected):
    got = utils.pad_sequences(*args, **kwargs)
    assert got.tolist() == expected
    assert densa.preprocessing.sequence.pad_sequences is utils.pad_sequences


@pytest.mark.parametrize(
    "call",
    [
        lambda: utils.pad_sequences([[1]], padding="left"),
        lambda: utils.pad_sequences([1, 2]),
        lambda: utils.pad_sequences([["a"]], value="x"),
        lambda: utils.timeseries_dataset_from_array(np.ones(4), None, 0),
        lambda: utils.timeseries_dataset_from_array(np.ones(4), None, 2, end_index=9),
        lambda: utils.timeseries_dataset_from_array(
            np.ones(4), None, 2, start_index=3, end_index=2
        ),
        lambda: utils.get_source_inputs(3),
        lambda: tree.pack_sequence_as([1, 2], [1]),
        lambda: tree.assert_same_structure([1], (1,)),
        lambda: tree.assert_same_paths([1], [1, 2]),
        lambda: tree.map_structure(lambda x: x),
    ],
)
def test_bad_input(call):
    with pytest.raises(ValueError, match=r"\w"):
        call()


@pytest.mark.parametrize("targets", [False, True])
def test_windows(targets):
    series = np.arange(30.0)
    goals = series[5:] if targets else None
    data = utils.timeseries_dataset_from_array(
        series,
        goals,
        3,
        sequence_stride=2,
        sampling_rate=2,
        batch_size=4,
        start_index=4,
        end_index=21,
    )
    starts = [s for s in range(4, 21, 2) if s + 4 < 21]
    batches = list(data)
    xs = [b[0] if targets else b for b in batches]
    assert np.concatenate(xs).tolist() == [[s, s + 2, s + 4] for s in starts]
    if targets:
        assert np.concatenate([b[1] for b in batches]).tolist() == [s + 5 for s in starts]
    assert len(data) == len(batches) == -(-len(starts) // 4)


def test_windows_train_in_new_orders():
    series = np.sin(np.arange(200) / 5).astype("f4")
    data = utils.timeseries_dataset_from_array(series, series[8:], 8, batch_size=32, shuffle=True,
                                               seed=1)  # fmt: skip
    first = data[0][1].tolist()
    model = densa.Sequential([densa.Input((8,)), densa.layers.Dense(1)])
    model.compile(densa.optimizers.Adam(0.02), "mse")
    losses = model.fit(data, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.2 * losses[0]
    assert data[0][1].tolist() != first
    single = utils.timeseries_dataset_from_array(series, None, 8, batch_size=None)
    assert single[0].shape == (8,)
    assert len(single) == 193


def test_config():
    config = utils.Config(a=1)
    config.b = 2
    config.update(c=3)
    assert (config["b"], config.get("x", 9), "c" in config, len(config)) == (2, 9, True, 3)
    assert config == utils.Config(a=1, b=2, c=3)
    assert config.to_json() == '{"a": 1, "b": 2, "c": 3}'
    assert config.pop("c") == 3
    config.freeze()
    for change in (lambda: setattr(config, "a", 2), lambda: config.update(a=2),
                   lambda: config.pop("a"), lambda: config.__delitem__("a")):  # fmt: skip
        with pytest.raises(ValueError, match="unfreeze"):
            change()
    assert config.as_dict() == {"a": 1, "b": 2}
    config.unfreeze()
    del config.a
    with pytest.raises(AttributeError, match="it has: b"):
        config.a  # noqa: B018
    assert list(config) == ["b"]


def test_source_inputs():
    a, b = densa.Input((2,)), densa.Input((2,))
    h = densa.layers.Dense(2)(a)
    y = densa.layers.add([h, b, h])
    assert {id(x) for x in utils.get_source_inputs(y)} == {id(a), id(b)}
    assert [id(x) for x in utils.get_source_inputs(h)] == [id(a)]


def test_trees():
    nested = {"b": [1, (2, 3)], "a": 4}
    assert tree.flatten(nested) == [4, 1, 2, 3]
    assert tree.flatten_with_path(nested)[1] == (("b", 0), 1)
    assert tree.map_structure(lambda a, b: a * b, nested, nested) == {"b": [1, (4, 9)], "a": 16}
    assert tree.map_structure_up_to({"a": 0, "b": 0}, str, nested) == {"a": "4", "b": "[1, (2, 3)]"}
    assert tree.lists_to_tuples(nested) == {"b": (1, (2, 3)), "a": 4}
    assert tree.map_shape_structure(len, [(None, 3), {"x": (2,)}]) == [2, {"x": 1}]
    assert tree.traverse(lambda x: tree.MAP_TO_NONE if x == 2 else None, nested) == {
        "b": [1, (None, 3)],
        "a": 4,
    }
    bottom = tree.traverse(lambda x: sum(x) if isinstance(x, (list, tuple)) else None, nested,
                           top_down=False)  # fmt: skip
    assert bottom == {"b": 6, "a": 4}
    with pytest.raises(TypeError, match="callable"):
        tree.map_structure(3, nested)


def test_mixed_precision_names():
    assert densa.mixed_precision.Policy is densa.DTypePolicy
    assert densa.mixed_precision.global_policy().name == "float32"


# ---- without state -------------------------------------------------------------------------------


def test_metrics_without_state():
    metric = densa.metrics.MeanSquaredError()
    metric.update_state([0.0], [5.0])
    values = metric.stateless_reset_state()
    values = metric.stateless_update_state(values, [0.0, 1.0], [1.0, 3.0])
    values = metric.stateless_update_state(values, [0.0], [0.0], sample_weight=[2.0])
    assert float(metric.stateless_result(values)) == pytest.approx(2.5 / 3)
    assert float(metric.result()) == 25.0
    with pytest.raises(ValueError, match="variables"):
        metric.stateless_result(values[:1])


def test_optimizers_without_state():
    w = np.array([1.0, 2.0], "f4")
    gradient = np.array([0.5, -0.5], "f4")
    one, other = densa.Variable(w), densa.Variable(w)
    by_hand, without = densa.optimizers.Adam(0.1), densa.optimizers.Adam(0.1)
    without.build([other])
    state = [v.numpy() for v in without.variables]
    values = [w]
    for _ in range(3):
        by_hand.apply([gradient], [one])
        values, state = without.stateless_apply(state, [gradient], values)
    np.testing.assert_array_equal(values[0].numpy(), one.numpy())
    np.testing.assert_array_equal(other.numpy(), w)
    assert int(without.iterations) == 0
    with pytest.raises(ValueError, match="expected"):
        without.stateless_apply(state[1:], [gradient], values)
    with pytest.raises(ValueError, match="build"):
        densa.optimizers.SGD().stateless_apply([], [gradient], values)


def test_export(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    model = densa.Sequential([densa.Input((3,)), densa.layers.Dense(2)])
    model.export(tmp_path / "m.onnx")
    x = np.ones((4, 3), "f4")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    (got,) = session.run(None, {session.get_inputs()[0].name: x})
    np.testing.assert_allclose(got, model.predict(x, verbose=0), rtol=1e-6)
    with pytest.raises(ValueError, match="onnx"):
        model.export(tmp_path / "m", format="tf_saved_model")
