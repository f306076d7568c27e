"""Thirty models as people write them: frozen, saved, loaded and in C they give one answer."""

import numpy as np
import pytest

import densa
from densa.utils import tree
from exported import COMPILERS, Exported
from predict.odd_models import FUNCTIONAL, SUBCLASSED
from predict_nets import data_for, move_weights

pytestmark = pytest.mark.cpu_only("a C file is for CPUs")

MODELS = [*FUNCTIONAL, *SUBCLASSED]


def made(kind):
    """The model, and its inputs where it does not know them."""
    if kind not in SUBCLASSED:
        return kind(), None
    shape = SUBCLASSED[kind]
    if isinstance(shape, dict):
        return kind(), {k: densa.Input(s, name=k) for k, s in shape.items()}
    return kind(), densa.Input(shape)


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
def test_one_answer_everywhere(kind, tmp_path):
    model, inputs = made(kind)
    model.freeze(inputs=inputs)  # builds it
    move_weights(model)
    predictor = model.freeze(inputs=inputs)
    arrays = data_for(predictor, 8)
    names = [spec.name for spec in predictor.inputs]
    given = dict(zip(names, arrays, strict=True)) if isinstance(inputs, dict) else arrays
    given = given[0] if isinstance(given, list) and len(given) == 1 else given
    wanted = [np.asarray(y) for y in tree.flatten(model.predict(given, verbose=0))]
    # A mixed policy's roundings to 16 bits are left out of a frozen network.
    close = {"rtol": 1e-5, "atol": 1e-5} if kind.__name__ != "mixed_policy" else {"atol": 0.1}
    got = predictor.run(arrays)
    for y, t in zip(got, wanted, strict=True):
        np.testing.assert_allclose(y, t, **close)
    for n in (1, 3):
        for y, t in zip(predictor.run([a[:n] for a in arrays]), got, strict=True):
            np.testing.assert_array_equal(y, t[:n])
    predictor.save(tmp_path / "net.densa")
    for y, t in zip(densa.Predictor.load(tmp_path / "net.densa").run(arrays), got, strict=True):
        np.testing.assert_array_equal(y, t)
    if COMPILERS:
        found = Exported(predictor, tmp_path, COMPILERS[0]).run(arrays)
        for y, t in zip(found, got, strict=True):
            np.testing.assert_allclose(y, t, rtol=1e-5, atol=1e-5)
