"""densa: dense neural networks with Keras' names, at the speed of the machine.

This file is the one list of public names. Each comes with its module when it is first used, so
that `import densa` costs little more than `import numpy`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from densa import (
        activations,
        backend,
        callbacks,
        config,
        constraints,
        convert,
        datasets,
        dtype_policies,
        initializers,
        layers,
        losses,
        metrics,
        mixed_precision,
        models,
        onnx,
        ops,
        optimizers,
        preprocessing,
        random,
        regularizers,
        saving,
        serving,
        sklearn,
        tree,
        utils,
        viz,
        wrappers,
    )
    from densa._symbolic import KerasTensor
    from densa.capi import get_include, get_lib
    from densa.config import DTypePolicy
    from densa.device import get_device, set_device
    from densa.gpu_predictor import GpuPredictor
    from densa.initializers import Initializer
    from densa.layers import Input, InputSpec, Layer
    from densa.losses import Loss
    from densa.metrics import Metric
    from densa.models import Model, Sequential
    from densa.optimizers import Optimizer
    from densa.predictor import Predictor
    from densa.regularizers import Regularizer
    from densa.tensor import (
        Tensor,
        asarray,
        enable_grad,
        from_dlpack,
        no_grad,
        value_and_grad,
    )
    from densa.training.step_runner import profile
    from densa.utils.runtime import get_num_threads, set_num_threads, show_config
    from densa.variables import Variable

__version__ = "0.1.0"

_MODULES = (
    "activations",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "convert",
    "datasets",
    "dtype_policies",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "onnx",
    "ops",
    "optimizers",
    "preprocessing",
    "random",
    "regularizers",
    "saving",
    "serving",
    "sklearn",
    "tree",
    "utils",
    "viz",
    "wrappers",
)
# Public name → module that has it.
_NAMES = {
    "DTypePolicy": "densa.config",
    "GpuPredictor": "densa.gpu_predictor",
    "Initializer": "densa.initializers",
    "Input": "densa.layers",
    "InputSpec": "densa.layers",
    "KerasTensor": "densa._symbolic",
    "Layer": "densa.layers",
    "Loss": "densa.losses",
    "Metric": "densa.metrics",
    "Model": "densa.models",
    "Optimizer": "densa.optimizers",
    "Predictor": "densa.predictor",
    "Regularizer": "densa.regularizers",
    "Sequential": "densa.models",
    "Tensor": "densa.tensor",
    "Variable": "densa.variables",
    "asarray": "densa.tensor",
    "enable_grad": "densa.tensor",
    "from_dlpack": "densa.tensor",
    "get_device": "densa.device",
    "get_include": "densa.capi",
    "get_lib": "densa.capi",
    "get_num_threads": "densa.utils.runtime",
    "no_grad": "densa.tensor",
    "profile": "densa.training.step_runner",
    "set_device": "densa.device",
    "set_num_threads": "densa.utils.runtime",
    "show_config": "densa.utils.runtime",
    "value_and_grad": "densa.tensor",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"densa.{name}")
    module = _NAMES.get(name)
    if module is None:
        from densa._names import suggesting

        suggesting("densa")(name)
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def version() -> str:
    """Return densa's version.

    Example:
        >>> densa.version() == densa.__version__
        True
    """
    return __version__


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES, *_NAMES])


__all__ = [
    "DTypePolicy",
    "GpuPredictor",
    "Initializer",
    "Input",
    "InputSpec",
    "KerasTensor",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Optimizer",
    "Predictor",
    "Regularizer",
    "Sequential",
    "Tensor",
    "Variable",
    "__version__",
    "activations",
    "asarray",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "convert",
    "datasets",
    "dtype_policies",
    "enable_grad",
    "from_dlpack",
    "get_device",
    "get_include",
    "get_lib",
    "get_num_threads",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "no_grad",
    "onnx",
    "ops",
    "optimizers",
    "preprocessing",
    "profile",
    "random",
    "regularizers",
    "saving",
    "serving",
    "set_device",
    "set_num_threads",
    "show_config",
    "sklearn",
    "tree",
    "utils",
    "value_and_grad",
    "version",
    "viz",
    "wrappers",
]
