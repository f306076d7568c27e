"""Keras' small names around models: types, policies, versions, symbolic tensors."""

from __future__ import annotations

import numpy as np
import pytest

import densa


def test_types():
    backend = densa.backend
    assert [backend.standardize_dtype(d) for d in ("int", float, np.uint8, None, "bfloat16")] == [
        "int32", "float32", "uint8", "float32", "bfloat16",
    ]  # fmt: skip
    assert [backend.is_float_dtype(d) for d in ("float16", "bool")] == [True, False]
    assert [backend.is_int_dtype(d) for d in ("uint16", "bool")] == [True, False]
    assert backend.result_type("int64", "float32") == "float32"
    assert backend.result_type("int8", "uint8") == "int16"
    assert backend.result_type("bool") == "bool"
    for wrong in ("complex64", "flot32", "str"):
        with pytest.raises(ValueError, match=f"no dtype '{wrong}'"):
            backend.standardize_dtype(wrong)


def test_policies():
    policies = densa.dtype_policies
    for name in ("float64", "mixed_bfloat16"):
        made = policies.get(name)
        assert policies.deserialize(policies.serialize(made)) == made
    assert policies.get(None) == densa.config.dtype_policy()
    with pytest.raises(ValueError, match="dtype policy"):
        policies.get("float17")


def test_version_sequence_and_symbolic_tensors():
    assert densa.version() == densa.__version__
    assert densa.utils.Sequence is densa.utils.PyDataset
    assert densa.utils.is_keras_tensor(densa.Input((2,)) + 1)
    assert not densa.backend.is_keras_tensor(np.zeros(2))


def test_a_model_is_one_file(tmp_path):
    model = densa.Sequential([densa.Input((2,)), densa.layers.Dense(1)])
    model.save(tmp_path / "m.densa", zipped=True)
    with pytest.raises(ValueError, match="one file"):
        model.save(tmp_path / "n.densa", zipped=False)
    assert not (tmp_path / "n.densa").exists()
