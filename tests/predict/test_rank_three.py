"""Networks on inputs of rank 3 and more: frozen, as C and as ONNX files."""

from __future__ import annotations

import numpy as np
import pytest

from exported import COMPILERS, Exported
from training.test_joined_rows import MODELS, X

# Its reshape takes the rows apart, which a frozen network does not.
FROZEN = [name for name in MODELS if name != "by element"]


def near(y, expected):
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=3e-6)


@pytest.mark.parametrize("name", FROZEN)
def test_freezes(name):
    model = MODELS[name]()
    predictor, expected = model.freeze(), model.predict(X, verbose=0)
    near(predictor(X), expected)
    near(predictor(X[:1]), expected[:1])
    assert predictor(X[:0]).shape == (0, 2)


@pytest.mark.skipif(not COMPILERS, reason="needs a C compiler")
@pytest.mark.parametrize("name", FROZEN)
def test_is_written_in_c(name, tmp_path):
    model = MODELS[name]()
    (y,) = Exported(model.freeze(), tmp_path, COMPILERS[0]).run([X])
    near(y, model.predict(X, verbose=0))


@pytest.mark.parametrize("name", MODELS)
def test_is_exported_to_onnx(name):
    tools = pytest.importorskip("interchange.tools", reason="needs the extra onnx")
    model = MODELS[name]()
    (y,) = tools.exported(model, X)
    near(y, model.predict(X, verbose=0))
