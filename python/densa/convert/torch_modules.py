"""`from_torch`: a PyTorch module as a densa model.

The module's `forward` is traced by torch.fx, which runs it on stand-ins and lists the layers and
functions that it uses; nn.Sequential and modules with a `forward` of their own go the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from densa import layers
from densa._names import hinted
from densa._symbolic import KerasTensor
from densa.convert.torch_functions import FUNCTIONS
from densa.convert.torch_layers import LAYERS, first_input
from densa.convert.tracing import Refusal, Traced
from densa.models import Model


@hinted
def from_torch(module: Any, input_shape: Any = None, *, dtype: Any = None) -> Model:
    """Return a feed-forward torch.nn.Module as a densa model with the same weights.

    It is traced by torch.fx: nn.Linear, Embedding, BatchNorm1d, LayerNorm, RMSNorm, Dropout,
    Flatten, the activations, and functions and methods of tensors between them. Training differs
    in one thing: torch's BatchNorm1d averages unbiased variances, densa's biased ones.

    Args:
        module: the module.
        input_shape: shape of one sample, without the rows; a list of them if `forward` takes
            several tensors. None takes it from the first layer.
        dtype: type of the input, or a list of types; None is that of the weights, and int64 for
            what goes into an Embedding.

    Returns:
        A functional Model. Layers are named like the submodules, with "_" for ".".

    Raises:
        ImportError: if PyTorch is not installed.
        TypeError: if it is no module.
        ValueError: if the shape of the input is not known, or the module does what densa cannot;
            the message names the submodule or function.

    Example:
        >>> import torch
        >>> module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU())
        >>> densa.convert.from_torch(module).count_params()
        15
    """
    try:
        import torch
        from torch import fx
    except ImportError as error:
        raise ImportError(
            f"densa.convert.from_torch needs PyTorch ({error}); install it with: "
            'pip install "densa[torch]"'
        ) from error
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"from_torch takes a torch.nn.Module; received {type(module).__name__}.")
    kind = type(module).__name__
    try:
        traced = fx.symbolic_trace(_as_parent(module))
    except Exception as error:  # what forward does with the stand-ins can fail in any way
        raise ValueError(
            f"torch.fx cannot trace {kind}, whose forward does more than call layers and "
            f"functions: {error}"
        ) from error
    t = Traced(traced, _weights_type(module))
    places = [node for node in traced.graph.nodes if node.op == "placeholder"]
    inputs = []
    for node, shape, wanted in zip(
        places, _each(input_shape, len(places)), _types(dtype, len(places)), strict=True
    ):
        inputs.append(_input(t, node, shape, wanted))
    outputs = _replay(t, traced.graph.nodes)
    one = inputs[0] if len(inputs) == 1 else inputs
    return Model(one, outputs, name=t.unique(kind.lower()))


def _as_parent(module: Any) -> Any:
    """Return a module that contains this one if it is a layer, which is not looked into."""
    import torch

    is_layer = type(module).__module__.startswith("torch.nn.modules")
    plain = isinstance(module, torch.nn.Sequential) or not is_layer
    return module if plain else torch.nn.Sequential(module)


def _weights_type(module: Any) -> str:
    import torch

    kinds = {p.dtype for p in module.parameters() if p.dtype.is_floating_point}
    if not kinds <= {torch.float32, torch.float64} or len(kinds) > 1:
        names = sorted(str(k) for k in kinds)
        raise ValueError(f"The module's weights are {names}; densa's are float32 or float64.")
    return "float64" if torch.float64 in kinds else "float32"


def _each(shape: Any, count: int) -> list[Any]:
    """Return one shape per input."""
    if shape is None:
        return [None] * count
    one = all(isinstance(n, (int, np.integer)) for n in shape)
    shapes = [shape] if one else list(shape)
    if len(shapes) != count:
        raise ValueError(f"forward takes {count} tensors; input_shape has {len(shapes)} shapes.")
    return shapes


def _types(dtype: Any, count: int) -> list[Any]:
    given = list(dtype) if isinstance(dtype, (list, tuple)) else [dtype] * count
    if len(given) != count:
        raise ValueError(f"forward takes {count} tensors; dtype has {len(given)} types.")
    return given


def _input(t: Traced, node: Any, shape: Any, dtype: Any) -> KerasTensor:
    found_shape, found_type = first_input(t, node)
    shape = found_shape if shape is None else tuple(shape)
    if shape is None:
        raise ValueError(
            f"The shape of the input {node.name!r} is not known from the module; pass "
            "input_shape=, the shape of one sample."
        )
    x: KerasTensor = layers.Input(
        shape, dtype=dtype or found_type or t.dtype, name=t.unique(node.name)
    )
    t.values[node] = x
    return x


def _replay(t: Traced, nodes: Sequence[Any]) -> Any:
    for node in nodes:
        if node.op == "placeholder":
            continue
        if node.op == "output":
            return t.outputs(node.args[0])
        try:
            t.values[node] = _value(t, node)
        except Refusal as error:
            raise ValueError(f"{t.place(node)} {error}.") from error
        except (TypeError, ValueError, IndexError) as error:
            raise ValueError(f"{t.place(node)}: {error}") from error
    raise ValueError("The traced module has no output.")


def _value(t: Traced, node: Any) -> Any:
    if node.op == "get_attr":
        return t.constant(node.target)
    args, kwargs = t.arguments(node)
    if node.op == "call_module":
        submodule = t.module.get_submodule(node.target)
        make = LAYERS.get(type(submodule).__name__)
        if make is None or not type(submodule).__module__.startswith("torch.nn."):
            raise Refusal("has no counterpart in densa")
        return make(t, submodule, str(node.target), *args, **kwargs)
    name = node.target if isinstance(node.target, str) else node.target.__name__
    function = FUNCTIONS.get(name.strip("_"))
    if function is None:
        raise Refusal("has no counterpart in densa")
    return function(t, *args, **kwargs)
