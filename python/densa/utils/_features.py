"""Features, their crosses and their types: what a `FeatureSpace` is described with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from densa import _core, layers
from densa._names import nearest
from densa._numbers import array_of, whole_number
from densa._symbolic import KerasTensor
from densa.layers._helpers import one_of
from densa.layers._lookup import text_array
from densa.saving.serialization import deserialize_keras_object, serialize_keras_object

TYPES = (
    "float", "float_normalized", "float_rescaled", "float_discretized", "integer_categorical",
    "string_categorical", "integer_hashed", "string_hashed",
)  # fmt: skip


class Cross:
    """Features whose combinations become one: `FeatureSpace.cross`."""

    def __init__(self, feature_names: Any, crossing_dim: int, output_mode: str = "one_hot") -> None:
        self.output_mode = one_of(output_mode, ("int", "one_hot"), "output_mode", "Cross")
        if isinstance(feature_names, str) or len(tuple(feature_names)) < 2:
            raise ValueError(f"Cross: give two features or more; received {feature_names!r}.")
        self.feature_names = tuple(feature_names)
        self.crossing_dim = whole_number("Cross: `crossing_dim`", crossing_dim)

    @property
    def name(self) -> str:
        """The names of the features, `_X_` between them."""
        return "_X_".join(self.feature_names)

    def get_config(self) -> dict[str, Any]:
        return {
            "feature_names": list(self.feature_names),
            "crossing_dim": self.crossing_dim,
            "output_mode": self.output_mode,
        }


class Feature:
    """A column's type, the layer that takes it, and what comes out: `FeatureSpace.feature`."""

    def __init__(self, dtype: str, preprocessor: Any, output_mode: str) -> None:
        modes = ("int", "one_hot", "float")
        self.output_mode = one_of(output_mode, modes, "output_mode", "Feature")
        if isinstance(preprocessor, dict):
            preprocessor = deserialize_keras_object(preprocessor)
        if not callable(preprocessor):
            raise TypeError(f"Feature: `preprocessor` must be a layer; received {preprocessor!r}.")
        self.dtype = "string" if dtype == "string" else layers.Input((1,), dtype=dtype).dtype
        self.preprocessor = preprocessor

    def get_config(self) -> dict[str, Any]:
        return {
            "dtype": str(self.dtype),
            "preprocessor": serialize_keras_object(self.preprocessor),
            "output_mode": self.output_mode,
        }

    def array(self, name: str, given: Any) -> Any:
        """Return a column as an array of its type, (rows, 1) or with more axes, or a scalar."""
        if isinstance(given, (_core.Tensor, KerasTensor)):
            if self.dtype == "string":
                raise ValueError(f"FeatureSpace: feature {name!r} is text; received a Tensor.")
            given = given if isinstance(given, KerasTensor) else given.numpy()
        if isinstance(given, KerasTensor):
            return given
        if self.dtype == "string":
            found = text_array(given, "utf-8", name)
        else:
            plain = given.to_numpy() if hasattr(given, "to_numpy") else given
            found = array_of(f"FeatureSpace: feature {name!r}", plain)
            if found.dtype.kind not in "fiub" and found.size:
                raise TypeError(
                    f"FeatureSpace: feature {name!r} holds numbers; received an array of "
                    f"{found.dtype}. Fill in what is missing, and turn it into numbers first."
                )
            integer = np.dtype(self.dtype).kind in "iu"
            if integer and found.dtype.kind == "f" and not np.array_equal(found, np.round(found)):
                raise TypeError(
                    f"FeatureSpace: feature {name!r} holds whole numbers; received fractions, NaN "
                    "or infinity."
                )
            found = found.astype(self.dtype)
        return found[:, None] if found.ndim == 1 else found


class Types:
    """Class methods that describe columns: `FeatureSpace.float()` and its like."""

    @classmethod
    def cross(cls, feature_names: Any, crossing_dim: int, output_mode: str = "one_hot") -> Cross:
        """Describe the combinations of several features, hashed into `crossing_dim` bins."""
        return Cross(feature_names, crossing_dim, output_mode)

    @classmethod
    def feature(cls, dtype: str, preprocessor: Any, output_mode: str) -> Feature:
        """Describe a column of a type, `"string"` among them, that a layer of one's own takes.

        Args:
            dtype: the column's type.
            preprocessor: the layer; `adapt` adapts it, where it can be.
            output_mode: what the layer gives: `"float"`, or `"int"`; `"one_hot"` makes vectors of
                the ints.
        """
        return Feature(dtype, preprocessor, output_mode)

    @classmethod
    def float(cls, name: str | None = None) -> Feature:
        """Describe a column of numbers that stay as they are."""
        return Feature("float32", layers.Identity(dtype="float32", name=_named(name)), "float")

    @classmethod
    def float_rescaled(
        cls, scale: Any = 1.0, offset: Any = 0.0, name: str | None = None
    ) -> Feature:
        """Describe a column that becomes x · scale + offset."""
        return Feature("float32", layers.Rescaling(scale, offset, name=_named(name)), "float")

    @classmethod
    def float_normalized(cls, name: str | None = None) -> Feature:
        """Describe a column that becomes (x - mean) / deviation, as `adapt` finds them."""
        return Feature("float32", layers.Normalization(axis=-1, name=_named(name)), "float")

    @classmethod
    def float_discretized(
        cls,
        num_bins: int | None,
        bin_boundaries: Any = None,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """Describe a column that becomes the number of a bin: give one of the two arguments."""
        layer = layers.Discretization(bin_boundaries, num_bins, name=_named(name))
        return Feature("float32", layer, output_mode)

    @classmethod
    def integer_categorical(
        cls,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """Describe a column of whole numbers that are names: `IntegerLookup`."""
        layer = layers.IntegerLookup(max_tokens, num_oov_indices, name=_named(name))
        return Feature("int64", layer, output_mode)

    @classmethod
    def string_categorical(
        cls,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """Describe a column of words: `StringLookup`."""
        layer = layers.StringLookup(max_tokens, num_oov_indices, name=_named(name))
        return Feature("string", layer, output_mode)

    @classmethod
    def string_hashed(
        cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """Describe a column of words without a vocabulary: `Hashing`."""
        return Feature("string", layers.Hashing(num_bins, name=_named(name)), output_mode)

    @classmethod
    def integer_hashed(
        cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """Describe a column of whole numbers without a vocabulary: `Hashing`."""
        return Feature("int64", layers.Hashing(num_bins, name=_named(name)), output_mode)


def _named(name: str | None) -> str | None:
    return None if name is None else f"{name}_preprocessor"


def is_table(data: Any) -> bool:
    # Mappings, and data frames, which are none but have columns by name.
    return isinstance(data, Mapping) or (hasattr(data, "columns") and hasattr(data, "__getitem__"))


def column_of(table: Any, name: str) -> Any:
    names = list(table.columns if hasattr(table, "columns") else table)
    if name not in names:
        raise ValueError(
            f"FeatureSpace: the data lack the column {name!r}; they have {names}."
            f"{nearest(name, map(str, names))}"
        )
    return table[name]


def tables_of(dataset: Any) -> Iterator[Any]:
    parts: Iterable[Any] = [dataset] if is_table(dataset) else dataset
    if isinstance(parts, (str, bytes)) or not isinstance(parts, Iterable):
        raise TypeError(
            "FeatureSpace: adapt() takes a dict of columns, a data frame, or what yields dicts; "
            f"received {type(dataset).__name__}."
        )
    for part in parts:
        table = part[0] if isinstance(part, tuple) and part else part
        if not is_table(table):
            raise TypeError(
                f"FeatureSpace: adapt() takes batches that are dicts; received "
                f"{type(table).__name__}."
            )
        yield table
