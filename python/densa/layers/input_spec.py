"""What a layer expects of its inputs, and the errors when something else comes."""

from __future__ import annotations

from typing import Any

from densa import config
from densa._names import Named
from densa._numbers import whole_number
from densa._symbolic import standardize_shape
from densa.utils import tree


class InputSpec(Named):
    """Rank, shape and type that a layer expects of one input.

    Args:
        dtype: type name; None allows any.
        shape: sizes, None for any; fixes the rank too.
        ndim: rank.
        max_ndim: largest rank.
        min_ndim: smallest rank.
        axes: axis to size.
        allow_last_axis_squeeze: allow one more or one less axis of size one at the end.
        name: key when inputs come as a dict.
        optional: whether None may come.

    Raises:
        TypeError: for ranks that are no whole numbers, or axes that are no dict.
        ValueError: for contradicting arguments.

    Example:
        >>> densa.layers.InputSpec(min_ndim=2, axes={-1: 4})
        InputSpec(min_ndim=2, axes={-1: 4})
    """

    def __init__(
        self,
        dtype: str | None = None,
        shape: Any = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: dict[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ) -> None:
        self.dtype = None if dtype is None else config.dtype_name(dtype)
        self.shape = None if shape is None else standardize_shape(shape)
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        if axes is not None and not isinstance(axes, dict):
            raise TypeError(f"InputSpec: `axes` must map axes to sizes; received {axes!r}.")
        for what, rank in (("ndim", ndim), ("max_ndim", max_ndim), ("min_ndim", min_ndim)):
            if rank is not None:
                whole_number(f"InputSpec: `{what}`", rank, least=0)
        for axis in axes or {}:  # texts as they come back from files
            if not str(axis).lstrip("-").isdecimal():
                raise TypeError(f"InputSpec: `axes` must map axes to sizes; received {axes!r}.")
        self.axes = {int(k): v for k, v in (axes or {}).items()}
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name
        self.optional = optional
        limit = self.ndim if self.ndim is not None else max_ndim
        if limit is not None and self.axes and max(self.axes) >= limit:
            raise ValueError(f"Axis {max(self.axes)} is greater than the maximum allowed value.")

    def __repr__(self) -> str:
        names = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        given = [f"{n}={getattr(self, n)}" for n in names if getattr(self, n)]
        return f"InputSpec({', '.join(given)})"

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal spec."""
        names = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        return {n: getattr(self, n) for n in names}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InputSpec:
        """Make a spec from `get_config`'s answer."""
        return cls(**config)


def assert_input_compatibility(input_spec: Any, inputs: Any, layer_name: str) -> None:
    """Raise ValueError, naming layer, input and shapes, if inputs do not fit the specs."""
    if input_spec is None:
        return
    if type(input_spec) is InputSpec and hasattr(inputs, "shape"):
        _check_one(0, inputs, input_spec, layer_name)
        return
    specs = tree.flatten(input_spec)
    if isinstance(inputs, dict) and all(s.name is not None for s in specs):
        missing = [s.name for s in specs if s.name not in inputs and not s.optional]
        if missing:
            raise ValueError(
                f'Missing data for input "{missing[0]}". You passed a data dictionary with keys '
                f"{list(inputs)}. Expected the following keys: {[s.name for s in specs]}"
            )
        values = [inputs.get(s.name) for s in specs]
    else:
        values = tree.flatten(inputs)
    if len(values) != len(specs):
        raise ValueError(
            f'Layer "{layer_name}" expects {len(specs)} input(s), but it received {len(values)} '
            f"input tensors. Inputs received: {[getattr(v, 'shape', v) for v in values]}"
        )
    for index, (value, spec) in enumerate(zip(values, specs, strict=True)):
        if spec is None or (value is None and spec.optional):
            continue
        _check_one(index, value, spec, layer_name)


def _check_one(index: int, value: Any, spec: InputSpec, layer_name: str) -> None:
    shape = getattr(value, "shape", None)
    if shape is None:
        raise ValueError(
            f"Inputs to a layer should be tensors. Got '{value!r}' (of type {type(value)}) as "
            f"input for layer '{layer_name}'."
        )
    shape = tuple(shape)
    rank = len(shape)
    head = f'Input {index} of layer "{layer_name}" is incompatible with the layer: '
    if spec.ndim is not None and rank != spec.ndim and not spec.allow_last_axis_squeeze:
        raise ValueError(
            f"{head}expected ndim={spec.ndim}, found ndim={rank}. Full shape received: {shape}."
            f"{_way_out(rank, spec.ndim)}"
        )
    if spec.max_ndim is not None and rank > spec.max_ndim:
        raise ValueError(f"{head}expected max_ndim={spec.max_ndim}, found ndim={rank}.")
    if spec.min_ndim is not None and rank < spec.min_ndim:
        raise ValueError(
            f"{head}expected min_ndim={spec.min_ndim}, found ndim={rank}. Full shape received: "
            f"{shape}.{_way_out(rank, spec.min_ndim)}"
        )
    if spec.dtype is not None and str(value.dtype) != spec.dtype:
        raise ValueError(f"{head}expected dtype={spec.dtype}, found dtype={value.dtype}.")
    for axis, size in spec.axes.items():
        if size is not None and -rank <= axis < rank and shape[axis] not in (size, None):
            raise ValueError(
                f"{head}expected axis {axis} of input shape to have value {size}, but received "
                f"input with shape {shape}. Reshape the input, or make a new layer for it: a "
                "layer keeps the input size it was built with."
            )
    if spec.shape is not None:
        _check_shape(head, shape, spec)


def _check_shape(head: str, shape: tuple[Any, ...], spec: InputSpec) -> None:
    wanted = spec.shape
    assert wanted is not None
    if spec.allow_last_axis_squeeze:
        if len(shape) == len(wanted) + 1 and shape[-1] == 1:
            shape = shape[:-1]
        elif len(wanted) == len(shape) + 1 and wanted[-1] == 1:
            wanted = wanted[:-1]
    fits = len(shape) == len(wanted) and all(
        a is None or b is None or a == b for a, b in zip(shape, wanted, strict=True)
    )
    if not fits:
        raise ValueError(f"{head}expected shape={wanted}, found shape={shape}.")


def _way_out(rank: int, wanted: int) -> str:
    if rank == wanted - 1:
        return " One sample is passed as a batch of one: x[None], or np.expand_dims(x, 0)."
    if rank > wanted:
        return " A Flatten or Reshape layer before this one brings the input to fewer dimensions."
    return ""
