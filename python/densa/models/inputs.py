"""What a model is called with, against the symbolic tensors that its graph begins with."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from densa import _core
from densa._masks import carried, get_mask, set_mask
from densa._scope import asked
from densa._symbolic import KerasTensor, infer_outputs, is_keras_tensor
from densa.layers._shapes import is_shape
from densa.layers.input_spec import InputSpec, assert_input_compatibility
from densa.models.graph import Graph
from densa.utils import tree


def same_shape(x: Any, symbol: KerasTensor) -> bool:
    """Tell whether a symbolic value has the shape of an input, rows unknown."""
    return tuple(x.shape)[1:] == symbol.shape[1:] and (
        symbol.shape[:1] == (None,) == tuple(x.shape)[:1]
    )


def symbols_of(graph: Graph, inputs: Any) -> list[KerasTensor] | None:
    """Return the symbolic tensor for each leaf of the inputs, None where they do not fit."""
    symbols = graph.inputs
    if isinstance(inputs, dict) and not isinstance(graph.inputs_struct, dict):
        names = {s.name: s for s in symbols}
        keys = sorted(inputs)
        return [names[k] for k in keys] if all(k in names for k in keys) else None
    leaves = tree.flatten(inputs)
    return symbols if len(leaves) == len(symbols) else None


def in_order(graph: Graph, inputs: Any, name: str) -> list[Any]:
    """Return the inputs of the model `name` in the order of its graph's, with their ranks."""
    symbols, struct = graph.inputs, graph.inputs_struct
    if isinstance(inputs, dict):
        keys = list(struct) if isinstance(struct, dict) else [s.name for s in symbols]
        missing = [k for k in keys if k not in inputs]
        if missing:
            raise ValueError(
                f"Model '{name}' misses the input {missing[0]!r}: it received a dict with "
                f"keys {sorted(inputs)}, and expects {keys}."
            )
        values = (
            tree.flatten({k: inputs[k] for k in keys})
            if isinstance(struct, dict)
            else [inputs[k] for k in keys]
        )
    else:
        values = tree.flatten(inputs)
    check_tensors(name, values)
    if len(values) != len(symbols):
        raise ValueError(
            f"Model '{name}' expects {len(symbols)} input(s) "
            f"({[s.name for s in symbols]}), but it received {len(values)}. "
            f"Shapes received: {[tuple(getattr(v, 'shape', ())) for v in values]}"
        )
    return [_fit_rank(v, s, name, i) for i, (v, s) in enumerate(zip(values, symbols, strict=True))]


def check_tensors(name: str, values: list[Any]) -> None:
    """Raise TypeError, naming the model, where an input is neither tensor nor array."""
    for value in values:
        if not hasattr(value, "shape"):
            kind = type(value).__name__
            raise TypeError(
                f"Model '{name}' expects Tensors, NumPy arrays or symbolic inputs, or a list or "
                f"dict of them; received {reprlib.repr(value)} of type {kind}."
            )


def in_dtype_of(symbol: KerasTensor, x: Any, placed: Callable[[Any], Any]) -> Any:
    """Return a value or an array as a tensor of a symbolic tensor's type.

    Args:
        symbol: what the value stands in for.
        x: the value; what is no number stays as it is.
        placed: makes a tensor of an array.

    Raises:
        ValueError: if an integer type cannot hold a number.
    """
    tensors = (_core.Tensor, _core.Variable)
    if hasattr(x, "__array__") and not isinstance(x, tensors) and not is_keras_tensor(x):
        array = np.asarray(x)
        if array.dtype.kind not in "fiub":
            return x
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        x = placed(np.ascontiguousarray(array).reshape(array.shape))
    if not isinstance(x, tensors) or str(x.dtype) == symbol.dtype:
        return x
    what = f"Values of input '{symbol.name}'"  # what an integer input cannot hold
    made = _core.apply("cast", x, dtype=symbol.dtype, strict=what, **asked(symbol.dtype))
    return carried(x, made)


def _fit_rank(x: Any, symbol: KerasTensor, name: str, index: int) -> Any:
    """Add or drop a last axis of size one, as Keras does, then check the shape."""
    shape, wanted = tuple(x.shape), symbol.shape
    if shape[1:] == wanted[1:] and shape:
        return x
    if len(shape) == len(wanted) + 1 and shape[-1] == 1:
        x = carried(x, _with_shape(x, shape[:-1]))
    elif len(shape) == len(wanted) - 1 and wanted[-1] == 1:
        x = carried(x, _with_shape(x, (*shape, 1)))
    spec = InputSpec(shape=(None, *wanted[1:]), name=symbol.name)
    try:
        assert_input_compatibility(spec, x, name)
    except ValueError as error:
        if index or symbol.name:
            raise ValueError(
                str(error).replace("Input 0", f"Input {index} ({symbol.name!r})", 1)
                + f" Give the model data of shape {spec.shape}."
            ) from None
        raise
    return x


def with_masks(inputs: list[Any], mask: Any) -> list[Any]:
    """Return the inputs with the masks, None or one for each, that a call was given for them."""
    if mask is None:
        return inputs
    masks = tree.flatten(mask)
    if len(masks) != len(inputs):
        raise ValueError(f"mask= holds {len(masks)} masks for {len(inputs)} inputs.")
    out = []
    for x, own in zip(inputs, masks, strict=True):
        if own is not None:  # on a tensor of its own: the caller keeps x, without this mask
            x = _with_shape(x, tuple(x.shape))
            set_mask(x, own)
        out.append(x)
    return out


def hand_on_symbols(model: Any, inputs: Any, outputs: Any, given: Any) -> None:
    """Give the symbolic outputs of a model symbolic masks.

    What the layers inside make of the masks shows in a trial. How, the graph outside does not know:
    such a mask tells layers that there is one, and no layer can be called on it.
    """
    seen = [getattr(x, "_keras_mask", None) for x in tree.flatten(inputs)]
    inside = (layer for layer in model._flatten_layers() if not hasattr(layer, "fit"))
    makers = (layer for layer in inside if layer.supports_masking and layer._makes_masks)
    if given is None and all(mask is None for mask in seen) and next(makers, None) is None:
        return

    def masks(x: Any, **kwargs: Any) -> Any:
        return [get_mask(leaf) for leaf in tree.flatten(model._trial_call(x, **kwargs))]

    found = infer_outputs(masks, (inputs,), {} if given is None else {"mask": given})
    for x, mask in zip(tree.flatten(outputs), found, strict=True):
        if is_keras_tensor(x) and is_keras_tensor(mask):
            x._keras_mask = mask


def _with_shape(x: Any, shape: tuple[Any, ...]) -> Any:
    if is_keras_tensor(x):
        from densa import ops

        return ops.reshape(x, tuple(-1 if d is None else d for d in shape))
    return _core.apply("reshape", x, shape=[-1 if d is None else int(d) for d in shape])


def arguments_of_graph(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return inputs, outputs and the other arguments, None without inputs and outputs."""
    rest = dict(kwargs)
    if len(args) >= 2:
        rest.update(zip(("name",), args[2:3], strict=False))
        return args[0], args[1], rest
    if len(args) == 1 and "outputs" in rest:
        return args[0], rest.pop("outputs"), rest
    if "inputs" in rest and "outputs" in rest:
        return rest.pop("inputs"), rest.pop("outputs"), rest
    return None


def plain_shapes(shape: Any) -> Any:
    """Return a shape as a tuple, and lists and dictionaries of them as lists and dicts."""
    if is_shape(shape):
        return tuple(shape)
    if isinstance(shape, Mapping):
        return {k: plain_shapes(v) for k, v in shape.items()}
    return [plain_shapes(s) for s in shape]
