"""`FeatureSpace`: tables as the numbers that a network takes, by a description of their columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from densa import layers
from densa._names import nearest
from densa.layers._helpers import one_of
from densa.layers._lookup import Lookup
from densa.utils import tree
from densa.utils._features import TYPES, Cross, Feature, Types, column_of, is_table, tables_of

_NO_SYMBOLS = (
    layers.Hashing,
    layers.HashedCrossing,
    layers.StringLookup,
    layers.TextVectorization,
)


class FeatureSpace(Types, layers.Layer):
    """Tables as the vectors that a network takes: each column by its type, then side by side.

    A column is `"float"` (as it is), `"float_normalized"`, `"float_rescaled"`,
    `"float_discretized"`, `"integer_categorical"`, `"string_categorical"`, `"integer_hashed"` or
    `"string_hashed"`, or one of the class methods of these names, which take arguments. In the
    vector columns come in the order of their names, then the crosses.

    Data are mappings of names to columns: dicts, data frames. Columns that no feature is named for
    are not looked at. Where all features are numbers and there are no crosses and hashes,
    `get_inputs` and `get_encoded_features` make it part of a model. Text and hashes are not: there
    `get_encoded_features` gives fresh inputs of the encoded shapes; train and predict with
    `model.fit(feature_space(table), y)`, `model.predict(feature_space(table))`.

    Args:
        features: by name, a type, or what a class method makes.
        output_mode: `"concat"` for one vector, `"dict"` for each feature by its name.
        crosses: tuples of names whose combinations are hashed; or what `cross` makes.
        crossing_dim: bins of those given as tuples.
        hashing_dim: bins of hashed features given by their type.
        num_discretization_bins: bins of `"float_discretized"` features.
        name: its name; made up if None.

    Raises:
        ValueError: for no feature, an unknown type, a cross of features that are not there or
            become floats, and what cannot be put side by side.

    Example:
        >>> table = {"age": [20, 40, 60], "town": ["Rome", "Oslo", "Rome"]}
        >>> space = densa.utils.FeatureSpace(
        ...     {"age": "float_normalized", "town": "string_categorical"}
        ... )
        >>> space.adapt(table)
        >>> space({"age": 40, "town": "Oslo"}).numpy()
        array([0., 0., 0., 1.], dtype=float32)
        >>> model = densa.Sequential([space.get_encoded_features(), densa.layers.Dense(1)])
        >>> model.predict(space(table), verbose=0).shape
        (3, 1)
    """

    def __init__(
        self,
        features: Any,
        output_mode: str = "concat",
        crosses: Any = None,
        crossing_dim: int = 32,
        hashing_dim: int = 32,
        num_discretization_bins: int = 32,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        if not isinstance(features, Mapping) or not features:
            raise ValueError(
                "FeatureSpace: `features` must be a dict of at least one feature: its name and "
                f"type. Received: features={features!r}."
            )
        self.output_mode = one_of(output_mode, ("concat", "dict"), "output_mode", "FeatureSpace")
        self.crossing_dim = crossing_dim
        self.hashing_dim = hashing_dim
        self.num_discretization_bins = num_discretization_bins
        self.features = {key: self._feature(key, value) for key, value in features.items()}
        self.crosses = [self._cross(value) for value in crosses or ()]
        self.crosses_by_name = {cross.name: cross for cross in self.crosses}
        self.preprocessors = {key: value.preprocessor for key, value in self.features.items()}
        self.crossers = {
            name: layers.HashedCrossing(cross.crossing_dim, name=name)
            for name, cross in sorted(self.crosses_by_name.items())
        }
        for key, layer in self.preprocessors.items():
            if isinstance(layer, layers.Normalization) and not layer.built:
                layer.build((None, 1))
            self._check_mode(key, self.features[key].output_mode, layer)
        for cross in self.crosses:
            self._check_mode(cross.name, cross.output_mode, self.crossers[cross.name])
        self._adaptable = [key for key, x in self.preprocessors.items() if _can_adapt(x)]
        self._is_adapted = not self._adaptable
        self._encoded: Any = None
        self._inputs: dict[str, Any] | None = None
        self.built = True

    def _feature(self, name: str, value: Any) -> Feature:
        if isinstance(value, dict):  # of a configuration
            return Feature(**value)
        if isinstance(value, Feature):
            return value
        if value not in TYPES:
            raise ValueError(
                f"FeatureSpace: feature {name!r} has the unknown type {value!r}; types are "
                f"{list(TYPES)}, or what FeatureSpace.feature(...) makes."
                f"{nearest(str(value), TYPES)}"
            )
        made: Feature
        if value == "float_discretized":
            made = self.float_discretized(self.num_discretization_bins, name=name)
        elif value in ("integer_hashed", "string_hashed"):
            made = getattr(self, value)(self.hashing_dim, name=name)
        else:
            made = getattr(self, value)(name=name)
        return made

    def _cross(self, value: Any) -> Cross:
        if isinstance(value, dict):  # of a configuration
            value = Cross(**value)
        cross = value if isinstance(value, Cross) else Cross(value, self.crossing_dim)
        for name in cross.feature_names:
            if name not in self.features:
                raise ValueError(
                    f"FeatureSpace: the cross {cross.feature_names} names {name!r}, which is no "
                    f"feature; features are {list(self.features)}."
                    f"{nearest(str(name), self.features)}"
                )
            if self.features[name].output_mode == "float":
                raise ValueError(
                    f"FeatureSpace: the cross {cross.feature_names} needs categories, and "
                    f"{name!r} becomes floats; take 'float_discretized' for it."
                )
        return cross

    def _check_mode(self, name: str, mode: str, layer: Any) -> None:
        if mode == "int" and self.output_mode == "concat":
            raise ValueError(
                f"FeatureSpace: feature {name!r} with output_mode='int' cannot stand beside others "
                "in a vector; take 'one_hot' for it, or output_mode='dict' for the space."
            )
        if mode == "float" and getattr(layer, "output_mode", mode) == "int":
            raise ValueError(
                f"FeatureSpace: feature {name!r} has output_mode='float', and "
                f"{type(layer).__name__} gives ints; take 'one_hot' or 'int', or another "
                "output_mode for the layer."
            )
        kinds = (Lookup, layers.Discretization, layers.Hashing, layers.HashedCrossing)
        if mode == "one_hot" and not (isinstance(layer, kinds) and layer.output_mode == "int"):
            raise ValueError(
                f"FeatureSpace: feature {name!r} has output_mode='one_hot', which takes the ints "
                f"of a lookup, a hash or bins, and {type(layer).__name__} gives something else; "
                "take 'float' or, in a space with output_mode='dict', 'int'."
            )

    # ---- learning the columns --------------------------------------------------------------------

    def adapt(self, dataset: Any) -> None:
        """Learn vocabularies, means, deviations and bins from a table.

        What was given a vocabulary, boundaries or statistics keeps them.

        Args:
            dataset: a mapping of names to columns; or what yields such mappings, of batches or of
                single rows, alone or as (x, y).

        Raises:
            TypeError: for other data, and columns of another type.
            ValueError: for a column that is missing, or holds NaN, and for data without a row.
                Nothing is changed then.
        """
        parts: dict[str, list[Any]] = {name: [] for name in self._adaptable}
        for table in tables_of(dataset):
            for name, arrays in parts.items():
                found = self.features[name].array(name, column_of(table, name))
                arrays.append(found.reshape(1, 1) if found.ndim == 0 else found)
        columns = {}
        for name, arrays in parts.items():
            column = np.concatenate(arrays) if arrays else np.zeros((0, 1))
            if not column.size:
                raise ValueError(f"FeatureSpace: adapt() was given no row of feature {name!r}.")
            if column.dtype.kind == "f" and not np.isfinite(column).all():
                raise ValueError(
                    f"FeatureSpace: feature {name!r} holds NaN or infinity; fill in what is "
                    "missing before adapt()."
                )
            columns[name] = column
        for name, column in columns.items():
            self.preprocessors[name].adapt(column)
        self._is_adapted = True
        self._encoded = None

    def _check_adapted(self) -> None:
        if not self._is_adapted:
            raise ValueError(
                f"FeatureSpace '{self.name}' has to learn the columns {self._adaptable}: call its "
                "adapt(table) first."
            )

    # ---- encoding --------------------------------------------------------------------------------

    def __call__(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        """Encode a table, or a single row: a mapping of names to numbers and words.

        Returns:
            A Tensor (rows, width), or a dict of Tensors; without the axis of rows for one row.

        Raises:
            TypeError: for what is no mapping, and columns of another type.
            ValueError: before `adapt`, for a column that is missing, or of another length.
        """
        self._check_adapted()
        if not is_table(data):
            raise TypeError(
                "FeatureSpace: call it with a dict of columns, or a data frame; received "
                f"{type(data).__name__}."
            )
        columns = {name: f.array(name, column_of(data, name)) for name, f in self.features.items()}
        rows = {name: (x.shape[0] if x.shape else "one") for name, x in columns.items()}
        if len(set(rows.values())) > 1:
            raise ValueError(f"FeatureSpace: columns differ in their rows: {rows}.")
        alone = "one" in rows.values()
        if alone:
            columns = {name: x.reshape(1, 1) for name, x in columns.items()}
        encoded = self._encode(columns)
        if alone:
            return tree.map_structure(lambda x: x[0], encoded)
        return encoded

    def _encode(self, columns: dict[str, Any]) -> Any:
        found = {name: self.preprocessors[name](columns[name]) for name in sorted(columns)}
        for name in self.crossers:
            parts = [found[part] for part in self.crosses_by_name[name].feature_names]
            found[name] = self.crossers[name]([part.numpy() for part in parts])
        for name, x in found.items():
            if self._spec(name).output_mode == "one_hot":
                found[name] = layers.CategoryEncoding(self._depth(name), "multi_hot")(x)
        if self.output_mode == "dict":
            return found
        for name, x in found.items():
            if "float" not in str(x.dtype) or len(x.shape) != 2:
                raise ValueError(
                    f"FeatureSpace: feature {name!r} cannot stand in a vector: it is {x.dtype} of "
                    f"shape {tuple(x.shape)}. Take output_mode='dict' for the space."
                )
        return layers.Concatenate()(list(found.values()))

    def _spec(self, name: str) -> Any:
        return self.features.get(name) or self.crosses_by_name[name]

    def _depth(self, name: str) -> int:
        layer = self.preprocessors.get(name) or self.crossers[name]
        if isinstance(layer, Lookup):
            return layer.vocabulary_size()
        if isinstance(layer, layers.Discretization):
            return len(layer.bin_boundaries or ()) + 1
        return int(layer.num_bins)

    @property
    def _symbolic(self) -> bool:
        return not self.crosses and not any(
            isinstance(x, _NO_SYMBOLS) for x in self.preprocessors.values()
        )

    def get_inputs(self) -> dict[str, Any]:
        """Return the symbolic inputs by name, each of shape (rows, 1): the beginning of a model.

        Raises:
            ValueError: before `adapt`; and where features are text, hashed or crossed.
        """
        self._check_adapted()
        if not self._symbolic:
            raise ValueError(
                f"FeatureSpace '{self.name}' has text, hashed or crossed features, which are "
                "encoded before a model: begin it with get_encoded_features(), and call "
                "model.predict(feature_space(table))."
            )
        if self._inputs is None:
            self._inputs = {
                name: layers.Input((1,), dtype=feature.dtype, name=name)
                for name, feature in self.features.items()
            }
        return self._inputs

    def get_encoded_features(self) -> Any:
        """Return the symbolic encoded features: what the first layer of a model is called on.

        Raises:
            ValueError: before `adapt`.
        """
        self._check_adapted()
        if self._encoded is None:
            self._encoded = self._encode(self.get_inputs()) if self._symbolic else self._fresh()
        return self._encoded

    def _fresh(self) -> Any:
        shapes = {name: self._shape(name) for name in [*sorted(self.features), *self.crossers]}
        if self.output_mode == "concat":
            return layers.Input((sum(int(shape[-1] or 0) for shape in shapes.values()),))
        return {
            name: layers.Input(
                shape,
                dtype="int64" if self._spec(name).output_mode == "int" else self.compute_dtype,
                name=name,
            )
            for name, shape in shapes.items()
        }

    def _shape(self, name: str) -> tuple[int | None, ...]:
        if self._spec(name).output_mode == "one_hot":
            return (self._depth(name),)
        layer = self.preprocessors.get(name)
        return (1,) if layer is None else tuple(layer.compute_output_shape((None, 1))[1:])

    # ---- keeping it ------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        learnt = {
            name: [_exact(x) for x in (layer.adapt_mean, layer.adapt_variance)]
            for name, layer in self.preprocessors.items()
            if name in self._adaptable and isinstance(layer, layers.Normalization)
        }
        return {
            "name": self.name,
            "features": {key: feature.get_config() for key, feature in self.features.items()},
            "output_mode": self.output_mode,
            "crosses": [cross.get_config() for cross in self.crosses],
            "crossing_dim": self.crossing_dim,
            "hashing_dim": self.hashing_dim,
            "num_discretization_bins": self.num_discretization_bins,
            "adapted": {"features": self._adaptable, "statistics": learnt}
            if self._is_adapted
            else None,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FeatureSpace:
        config = dict(config)
        adapted = config.pop("adapted", None)
        space = cls(**config)
        if adapted is not None:
            for name, (mean, variance) in adapted["statistics"].items():
                layer = space.preprocessors[name]
                layer.adapt_mean.assign(mean)
                layer.adapt_variance.assign(variance)
            space._adaptable = list(adapted["features"])
            space._is_adapted = True
        return space

    def save(self, filepath: Any, overwrite: bool = True) -> None:
        """Write it to a `.densa` file; `densa.saving.load_model` reads it.

        Args:
            filepath: a path that ends in `.densa`.
            overwrite: False refuses to replace a file.

        Raises:
            ValueError: for another ending.
            FileExistsError: if the file exists and overwrite is False.
        """
        from densa.saving import save_model

        save_model(self, filepath, overwrite)


def _exact(variable: Any) -> Any:
    """Return a variable's numbers as plain data, exactly."""
    return np.asarray(variable.numpy(), np.float64).tolist()


def _can_adapt(layer: Any) -> bool:
    # Whether there is something left to learn: not where it was given.
    if isinstance(layer, layers.Normalization):
        return layer.input_mean is None
    if isinstance(layer, layers.Discretization):
        return layer.num_bins is not None and layer.bin_boundaries is None
    if isinstance(layer, (Lookup, layers.TextVectorization)):
        return not layer.get_vocabulary(include_special_tokens=False)
    return hasattr(layer, "adapt")
