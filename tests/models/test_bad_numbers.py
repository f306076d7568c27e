"""Numbers that cannot be meant are refused where they are given, not where they are used."""

from __future__ import annotations

import numpy as np
import pytest

import densa

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
    (ValueError, "is for vectors", lambda: densa.ops.norm(np.ones((2, 2)), 2)),
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
