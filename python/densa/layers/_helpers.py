"""Small things that several layers share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from densa import _core, random
from densa._names import nearest
from densa._numbers import whole_number
from densa.device import beside

_SMALLEST = 1e-12  # length that a vector is divided by

# Arguments of Keras' layers that densa has not, with the values that say so: they stand in the
# configurations that Keras writes. `renorm_momentum` says nothing without `renorm`.
_OFF: dict[str, tuple[Any, ...]] = {
    "gptq_unpacked_column_size": (None,),
    "lora_alpha": (None,),
    "lora_rank": (None,),
    "quantization_config": (None,),
    "renorm": (False,),
    "renorm_clipping": (None, {}),
    "rms_scaling": (False,),
}


def without_what_is_off(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return a layer's further arguments without those of Keras that ask for nothing."""
    if not arguments:
        return arguments
    out = {k: v for k, v in arguments.items() if k not in _OFF or v not in _OFF[k]}
    if "renorm" not in out:
        out.pop("renorm_momentum", None)
    return out


def as_float(x: Any, dtype: str) -> Any:
    """Return x in the given floating type."""
    return x if str(x.dtype) == dtype else _core.apply("cast", x, dtype=dtype)


def reshape_rows(x: Any, rest: tuple[int, ...]) -> Any:
    """Return x with the same number of rows and `rest` as the other sizes."""
    rows = x.shape[0]
    return _core.apply("reshape", x, shape=[-1 if rows is None else int(rows), *rest])


def last_size(input_shape: Any, name: str) -> int:
    """Return the size of the last axis; ValueError if it is unknown."""
    size = input_shape[-1] if input_shape else None
    if size is None:
        raise ValueError(
            f"The last dimension of the inputs to layer '{name}' must be known. Received: "
            f"input_shape={input_shape}."
        )
    return int(size)


def sizes_from(name: str, value: Any) -> tuple[int, ...]:
    """Return a tuple of whole numbers, of any sign; TypeError for anything else."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be a tuple of whole numbers; received {value!r}.")
    return tuple(whole_number(name, v, least=-(2**62)) for v in value)


def axes_of(axis: int | list[int], rank: int, name: str, first: int = 0) -> list[int]:
    """Return axes counted from 0, sorted; ValueError unless they lie in first … rank - 1."""
    given = axis if isinstance(axis, list) else [axis]
    axes = sorted(a + rank if a < 0 else a for a in given)
    if not axes or len(set(axes)) != len(axes) or any(not first <= a < rank for a in axes):
        what = "samples of an input" if first else "an input"
        raise ValueError(f"Layer '{name}': axis={axis} does not fit {what} of rank {rank}.")
    return axes


def sizes_of(input_shape: Any, axes: list[int], axis: Any, name: str) -> tuple[int, ...]:
    """Return the sizes of these axes; ValueError if one is unknown."""
    shape = tuple(input_shape[a] for a in axes)
    if None in shape:
        raise ValueError(
            f"Layer '{name}': axis {axis} of the input must have a known size. "
            f"Received: input_shape={tuple(input_shape)}."
        )
    return shape


def along(variable: Any, axes: list[int], x: Any) -> Any:
    """Return what has one number for each index of x's `axes` in a shape that broadcasts to x."""
    rank = len(x.shape)
    if axes == list(range(rank - len(axes), rank)):
        return variable
    shape = [int(x.shape[a]) if a in axes else 1 for a in range(rank)]
    return _core.apply("reshape", variable, shape=shape)


def of_length_one(x: Any, axes: list[int]) -> Any:
    """Return x divided by its Euclidean length over axes; zeros stay zeros."""
    power = _core.apply("sum", _core.apply("square", x), axis=axes, keepdims=True)
    # The bound lies under the root, so that the gradient of zeros is finite.
    inverse = _core.apply("rsqrt", _core.apply("maximum", power, _SMALLEST**2))
    return _core.apply("multiply", x, inverse)


def mask_shape(layer: str, shape: Any) -> tuple[Any, ...] | None:
    """Return a dropout's `noise_shape` as a tuple; TypeError for what is none."""
    if shape is not None and (isinstance(shape, (str, bytes)) or not isinstance(shape, Iterable)):
        raise TypeError(f"{layer}: `noise_shape` must be a tuple or None; received {shape!r}.")
    return None if shape is None else tuple(shape)


def data_format_of(layer: str, value: Any) -> str:
    """Return a `data_format`; None is the channels last."""
    formats = ("channels_last", "channels_first")
    return one_of(formats[0] if value is None else value, formats, "data_format", layer)


def underscored(name: Any) -> Any:
    """Return a name with underscores instead of hyphens; anything else as it is."""
    return name.replace("-", "_") if isinstance(name, str) else name


def one_of(value: Any, known: Iterable[str], argument: str, layer: str) -> str:
    """Return a name out of a few; ValueError for another, with the nearest."""
    names = list(known)
    if isinstance(value, str) and value in names:
        return value
    raise ValueError(
        f"{layer}: `{argument}` must be one of {names}. Received: {argument}={value!r}."
        f"{nearest(str(value), names)}"
    )


def uniform(shape: Any, low: float, high: float, generator: random.SeedGenerator, like: Any) -> Any:
    """Draw evenly from [low, high), beside `like` and of its type; also while recording.

    The first size may be None: the rows of the batch.
    """
    sizes = [-1 if d is None else int(d) for d in shape]
    place = {"low": low, "high": high, **generator.draw()}
    made = _core.apply("random_uniform", shape=sizes, dtype=str(like.dtype), **place)
    return beside(made, like)
