"""What the tests of densa.onnx share: ONNX Runtime, and how far two results are apart."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
ort = pytest.importorskip("onnxruntime", reason="needs onnxruntime")

from densa.onnx.exporting import model_proto  # noqa: E402


def as_list(x):
    if isinstance(x, dict):
        return [x[k] for k in sorted(x)]
    return list(x) if isinstance(x, (list, tuple)) else [x]


def session(proto):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    data = proto if isinstance(proto, (bytes, str)) else proto.SerializeToString()
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def run(proto, *xs):
    """The outputs that ONNX Runtime computes, as a list."""
    runner = session(proto)
    feeds = {i.name: np.ascontiguousarray(x) for i, x in zip(runner.get_inputs(), xs, strict=True)}
    return runner.run(None, feeds)


def exported(model, *xs):
    """The outputs of the exported model in ONNX Runtime, as a list."""
    return run(model_proto(model), *xs)
