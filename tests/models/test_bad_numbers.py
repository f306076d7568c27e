"""Numbers that cannot be meant are refused where they are given, not where they are used."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import callbacks, losses
from densa.optimizers import schedules

L = densa.layers
NAN = float("nan")


def model():
    return densa.Sequential([densa.Input((1,)), L.Dense(1, name="head")])


BAD = [
    (ValueError, "weight_decay.*at least 0", lambda: densa.optimizers.SGD(weight_decay=-0.1)),
    (TypeError, "weight_decay.*number", lambda: densa.optimizers.AdamW(weight_decay="much")),
    (ValueError, "weight_decay.*NaN", lambda: densa.optimizers.Adam(weight_decay=float("nan"))),
    (ValueError, "weight_decay.*finite", lambda: densa.optimizers.Adam(weight_decay=float("inf"))),
    (TypeError, "function of the epoch", lambda: densa.callbacks.LearningRateScheduler(3)),
    (ValueError, "stddev", lambda: densa.initializers.TruncatedNormal(stddev=-1.0)),
    (TypeError, "mean", lambda: densa.initializers.RandomNormal(mean="0")),
    (ValueError, "maxval.*at least 1", lambda: densa.initializers.RandomUniform(1.0, 0.0)),
    (TypeError, "Rescaling: `scale`", lambda: densa.layers.Rescaling("a")),
    (TypeError, "Rescaling: `offset`", lambda: densa.layers.Rescaling(1.0, [None])),
    (ValueError, "RepeatVector: n", lambda: densa.layers.RepeatVector(0)),
    (TypeError, "ELU: `alpha`", lambda: L.ELU("x")),
    (ValueError, "LeakyReLU: `negative_slope`.*NaN", lambda: L.LeakyReLU(NAN)),
    (ValueError, "ReLU: `threshold` must be finite", lambda: L.ReLU(threshold=np.inf)),
    (TypeError, "Concatenate: .*axis='x'", lambda: L.Concatenate(axis="x")),
    (TypeError, "Concatenate: `axis` must be one int", lambda: L.Concatenate(axis=[0, 1])),
    (ValueError, "'softmax.*axis=9 does not fit", lambda: L.Softmax(axis=9)(densa.Input((4,)))),
    (TypeError, "Softmax: .*axis=1.5", lambda: L.Softmax(axis=1.5)),
    (TypeError, "LayerNormalization: `epsilon`", lambda: L.LayerNormalization(epsilon=None)),
    (ValueError, "BatchNormalization: `momentum`", lambda: L.BatchNormalization(momentum=2)),
    (TypeError, "Embedding: `input_dim` must be a whole", lambda: L.Embedding(1.5, 2)),
    (ValueError, "finite float", lambda: L.GaussianNoise(np.inf)),
    (TypeError, "Permute: `dims`", lambda: L.Permute(1)),
    (TypeError, "Reshape: `target_shape`", lambda: L.Reshape("x")),
    (ValueError, "RandomZoom: `fill_value`", lambda: L.RandomZoom(0.1, fill_value=NAN)),
    (ValueError, "Rescaling: `scale` must be finite", lambda: L.Rescaling(NAN)),
    (TypeError, "InputSpec: `axes`", lambda: L.InputSpec(axes=3)),
    (TypeError, "OneCycle: total_steps must be a whole", lambda: schedules.OneCycle(0.1, 10.5)),
    (ValueError, "max_learning_rate must be above 0", lambda: schedules.OneCycle(0.0, 10)),
    (ValueError, "t_mul must be finite", lambda: schedules.CosineDecayRestarts(1, 9, np.inf)),
    (TypeError, "values must be a list", lambda: schedules.PiecewiseConstantDecay([1], 2)),
    (ValueError, "learning_rate must be a number", lambda: densa.optimizers.SGD("0.1")),
    (TypeError, "UnitNorm: .*axis='x'", lambda: densa.constraints.UnitNorm("x")),
    (TypeError, "Constant: `value`", lambda: densa.initializers.Constant("x")),
    (TypeError, "label_smoothing", lambda: losses.BinaryCrossentropy(label_smoothing="x")),
    (ValueError, "`gamma` must be finite", lambda: losses.BinaryFocalCrossentropy(gamma=np.inf)),
    (ValueError, "`alpha`", lambda: losses.CategoricalFocalCrossentropy(alpha=[0.5, NAN])),
    (TypeError, "axis=1.5", lambda: losses.Dice(axis=1.5)),
    (TypeError, "`axis` must be one", lambda: losses.CategoricalCrossentropy(axis=[0])),
    (TypeError, "`threshold`", lambda: densa.metrics.BinaryAccuracy(threshold="x")),
    (TypeError, "ignore_class", lambda: densa.metrics.MeanIoU(2, ignore_class="x")),
    (TypeError, "target_class_ids", lambda: densa.metrics.IoU(2, 1)),
    (ValueError, "beta must be finite", lambda: densa.metrics.FBetaScore(beta=np.inf)),
    (TypeError, "expected an array of whole", lambda: densa.utils.to_categorical(["a"])),
    (TypeError, "num_classes", lambda: densa.utils.to_categorical([0], 1.5)),
    (ValueError, "normalize: axis", lambda: densa.utils.normalize(np.ones((2, 2)), axis=9)),
    (ValueError, "left_size", lambda: densa.utils.split_dataset(np.ones(3), left_size=NAN)),
    (TypeError, "expected a model", lambda: densa.utils.recalibrate_batch_norm(3, np.ones(3))),
    (ValueError, "stddev must be at least 0", lambda: densa.random.normal((2,), stddev=-1)),
    (ValueError, "ReduceLROnPlateau: `factor`", lambda: callbacks.ReduceLROnPlateau(factor=-1)),
    (TypeError, "`monitor` must be a name", lambda: callbacks.EarlyStopping(monitor=3)),
    (
        ValueError,
        "`initial_value_threshold`",
        lambda: callbacks.ModelCheckpoint("a.densa", initial_value_threshold=NAN),
    ),
    (
        TypeError,
        "on_epoch_end must be a function",
        lambda: callbacks.LambdaCallback(on_epoch_end=3),
    ),
    (TypeError, "Did you mean 'on_epoch_end'", lambda: callbacks.LambdaCallback(on_epoch_ends=3)),
    (TypeError, "`layers` must be a list", lambda: densa.Sequential(3)),
    (ValueError, "Did you mean 'head'", lambda: model().get_layer("haed")),
    (TypeError, "get_layer: index", lambda: model().get_layer(index="x")),
    (TypeError, "set_weights: expected a list", lambda: model().set_weights(3)),
    (TypeError, "summary: line_length", lambda: model().summary(line_length="x")),
    (TypeError, "save_model: expected a model", lambda: densa.saving.save_model(3, "a.densa")),
    (TypeError, "steps_per_exec", lambda: model().compile("sgd", steps_per_execution="x")),
    (ValueError, "`loss_weights`", lambda: model().compile("sgd", "mse", loss_weights=[NAN])),
    (ValueError, "is for vectors", lambda: densa.ops.norm(np.ones((2, 2)), 3)),
]


@pytest.mark.parametrize(("error", "match", "make"), BAD, ids=range(len(BAD)))
def test_refused(error, match, make):
    with pytest.raises(error, match=match):
        make()


def test_what_norms_there_are():
    x = np.array([[3.0, 0.0], [4.0, 2.0]])
    assert float(densa.ops.norm(x)) == pytest.approx(np.linalg.norm(x))
    assert float(densa.ops.norm(x, "fro")) == pytest.approx(np.linalg.norm(x))
    np.testing.assert_allclose(densa.ops.norm(x, 2, axis=0).numpy(), np.linalg.norm(x, 2, 0))
    assert float(densa.ops.norm(x[:, 0], 2)) == 5.0


def test_floor_and_ceil_give_floats():
    for function in (densa.ops.floor, densa.ops.ceil):
        assert function(np.array([1, 2])).dtype == "float32"
