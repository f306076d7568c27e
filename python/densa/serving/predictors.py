"""What is served: the interface of a predictor, and the models of a service by name and version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import index
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from densa._names import hinted

from .metrics import ModelMetrics

__all__ = [
    "DATATYPES",
    "Array",
    "Predictor",
    "Served",
    "Tensor",
    "TensorSpec",
    "served_models",
    "tensor_metadata",
]

Array = npt.NDArray[Any]

# NumPy's name of a type → the protocol's.
DATATYPES = {
    "bool": "BOOL",
    **{f"uint{bits}": f"UINT{bits}" for bits in (8, 16, 32, 64)},
    **{f"int{bits}": f"INT{bits}" for bits in (8, 16, 32, 64)},
    **{f"float{bits}": f"FP{bits}" for bits in (16, 32, 64)},
}


class TensorSpec(Protocol):
    """What is said of an input or output: its name, shape and type."""

    @property
    def name(self) -> str:
        """Its name in requests and answers."""
        ...

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The extents; None where any will do, as on axis 0: the rows."""
        ...

    @property
    def dtype(self) -> str:
        """NumPy's name of its type."""
        ...


class Predictor(Protocol):
    """What a service asks of a predictor."""

    @property
    def inputs(self) -> Sequence[TensorSpec]:
        """What `run` takes."""
        ...

    @property
    def outputs(self) -> Sequence[TensorSpec]:
        """What `run` gives."""
        ...

    def run(self, arrays: list[Array]) -> list[Array]:
        """Compute the outputs of some rows; called from several threads at once.

        Args:
            arrays: One contiguous array for each input, perhaps read-only.

        Returns:
            One array for each output, with as many rows.

        Raises:
            ValueError: A shape or value is wrong.
            IndexError: An id is out of range.
            TypeError: A type is wrong.
        """
        ...


def _shape(spec: TensorSpec, owner: str) -> tuple[int | None, ...]:
    """The spec's extents; ValueError for what is none of them, or no rows first."""
    wrong = ValueError(
        f"{owner}: the shape of {spec.name} must be extents of 0 or more, or None where any will "
        f"do; it is {spec.shape!r}."
    )
    try:
        shape = tuple(None if extent is None else index(extent) for extent in spec.shape)
    except TypeError:
        raise wrong from None
    if not shape or shape[0] is not None:
        raise ValueError(
            f"{owner}: axis 0 of {spec.name} is not rows, which are None: {spec.shape!r}."
        )
    if any(extent is not None and extent < 0 for extent in shape):
        raise wrong
    return shape


@hinted
def tensor_metadata(spec: TensorSpec) -> dict[str, Any]:
    """The protocol's description of an input or output."""
    shape = [-1 if extent is None else index(extent) for extent in spec.shape]
    return {"name": spec.name, "datatype": DATATYPES[np.dtype(spec.dtype).name], "shape": shape}


class Tensor:
    """A spec in the words of the protocol."""

    __slots__ = ("datatype", "dtype", "name", "shape")

    def __init__(self, spec: TensorSpec, owner: str) -> None:
        name = np.dtype(spec.dtype).name
        if name not in DATATYPES:
            raise ValueError(
                f"{owner}: {spec.name} has dtype {spec.dtype}, which the protocol cannot carry; it"
                f" knows {', '.join(DATATYPES)}."
            )
        self.name = spec.name
        self.shape = _shape(spec, owner)
        self.datatype = DATATYPES[name]
        self.dtype = np.dtype(name).newbyteorder("<")  # the native one on nearly every machine


def _checked(output: Any, tensor: Tensor, rows: int | None) -> Array:
    array = np.asarray(output)
    wanted = (rows, *tensor.shape[1:])
    fits = array.ndim == len(wanted) and all(
        e is None or e == n for e, n in zip(wanted, array.shape, strict=True)
    )
    if not fits:
        raise RuntimeError(f"output '{tensor.name}' has shape {array.shape}, not {wanted}")
    if not np.can_cast(array.dtype, tensor.dtype, "same_kind"):
        raise RuntimeError(f"output '{tensor.name}' is {array.dtype}, not {tensor.dtype}")
    return array


class Served:
    """One version of a model, with its counts."""

    def __init__(self, name: str, version: str, predictor: Predictor) -> None:
        owner = f"model {name!r}, version {version}"
        if not callable(getattr(predictor, "run", None)):
            raise TypeError(
                f"{owner}: a {type(predictor).__name__} is no predictor: it has no `run`. A model"
                " is frozen first."
            )
        if not (hasattr(predictor, "inputs") and hasattr(predictor, "outputs")):
            raise TypeError(
                f"{owner}: a {type(predictor).__name__} does not say what it takes and gives: "
                "`inputs` and `outputs`, each with `name`, `shape` and `dtype`."
            )
        self.name = name
        self.version = version
        self.predictor = predictor
        self.inputs = [Tensor(spec, owner) for spec in predictor.inputs]
        self.outputs = [Tensor(spec, owner) for spec in predictor.outputs]
        self.input_places = {tensor.name: i for i, tensor in enumerate(self.inputs)}
        self.output_places = {tensor.name: i for i, tensor in enumerate(self.outputs)}
        if len(self.input_places) < len(self.inputs) or len(self.output_places) < len(self.outputs):
            raise ValueError(f"{owner}: two inputs or two outputs have the same name.")
        self.metrics = ModelMetrics(name, version)

    def run(self, arrays: list[Array]) -> list[Array]:
        """The predictor's outputs, one for each spec and as that says.

        Raises:
            RuntimeError: for any others: the predictor's mistake, not that of who asked.
        """
        outputs = self.predictor.run(arrays)
        if not isinstance(outputs, (list, tuple)) or len(outputs) != len(self.outputs):
            came = len(outputs) if isinstance(outputs, (list, tuple)) else type(outputs).__name__
            raise RuntimeError(f"{came} arrays came for {len(self.outputs)} outputs")
        rows = len(arrays[0]) if arrays else None
        return [_checked(y, t, rows) for y, t in zip(outputs, self.outputs, strict=True)]

    def metadata(self, versions: list[str]) -> dict[str, Any]:
        """The protocol's description of the model."""
        return {
            "name": self.name,
            "versions": versions,
            "platform": "densa",
            "inputs": [tensor_metadata(spec) for spec in self.predictor.inputs],
            "outputs": [tensor_metadata(spec) for spec in self.predictor.outputs],
        }


def served_models(predictors: Any) -> dict[str, dict[str, Served]]:
    """Name → version → model, versions in ascending order.

    Raises:
        ValueError: No model, a name that no path can hold, or a version that is no number.
        TypeError: Something that is no predictor.
    """
    named = predictors if isinstance(predictors, Mapping) else {"model": predictors}
    if not named:
        raise ValueError("No predictor to serve: the dict is empty.")
    models: dict[str, dict[str, Served]] = {}
    for name, given in named.items():
        if not isinstance(name, str) or not name or "/" in name:
            raise ValueError(f"A model's name is a string without '/', not {name!r}.")
        versions = given if isinstance(given, Mapping) else {1: given}
        if not versions:
            raise ValueError(f"Model {name!r} has no version.")
        numbers = {_number(name, version): p for version, p in versions.items()}
        models[name] = {str(n): Served(name, str(n), numbers[n]) for n in sorted(numbers)}
    return models


def _number(name: str, version: object) -> int:
    """A version as the number it is: the highest one answers where a request names none."""
    text = str(version)
    if not (text.isascii() and text.isdecimal() and str(int(text)) == text):
        raise ValueError(f"A version of model {name!r} is a whole number, not {version!r}.")
    return int(text)
