"""The base class of metrics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from densa._names import Named, hinted
from densa._numbers import check_name
from densa._scope import auto_name, name_scope
from densa.config import dtype_name, floatx
from densa.tensor import asarray
from densa.utils import tree
from densa.variables import Variable


class Metric(Named):
    """A number gathered over many batches.

    A subclass makes its variables with `add_variable` in `__init__`, adds a batch to them in
    `update_state`, and computes the number in `result`. `update_state` must use `densa.ops` and
    `variable.assign`, so that a compiled training step can run it.

    Args:
        dtype: Floating dtype of the variables; floatx by default.
        name: Name in logs; by default the class's name in snake_case.

    Example:

    >>> import densa
    >>> class Largest(densa.metrics.Metric):
    ...     def __init__(self, name="largest", **kwargs):
    ...         super().__init__(name=name, **kwargs)
    ...         self.value = self.add_variable((), "zeros", name="value")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.value.assign(densa.ops.maximum(self.value, densa.ops.max(y_pred)))
    ...     def result(self):
    ...         return self.value
    >>> float(Largest()(None, densa.ops.convert_to_tensor([1.0, 3.0])))
    3.0
    """

    # "up" or "down": where better values lie, for callbacks with mode="auto".
    _direction: str | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "update_state" in cls.__dict__:
            cls.update_state = hinted(cls.__dict__["update_state"])  # type: ignore[method-assign]

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        check_name(type(self).__name__, name)
        self.name = name or auto_name(type(self).__name__)
        self._dtype = str(floatx()) if dtype is None else dtype_name(dtype)
        self._variables: list[Variable] = []
        self._metrics: list[Metric] = []

    @property
    def dtype(self) -> str:
        """Dtype of the metric's variables."""
        return self._dtype

    @property
    def variables(self) -> list[Variable]:
        """All variables, those of metrics kept as attributes included."""
        out = list(self._variables)
        for metric in self._metrics:
            out.extend(metric.variables)
        return out

    def __setattr__(self, name: str, value: Any) -> None:
        known = self.__dict__.get("_metrics")
        if isinstance(value, Metric) and known is not None and value not in known:
            known.append(value)
        object.__setattr__(self, name, value)

    def add_variable(
        self,
        shape: Any,
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str | None = "sum",
        name: str | None = None,
    ) -> Variable:
        """Makes a variable that `reset_state` sets to zero.

        Args:
            shape: Its shape.
            initializer: Name, initializer or array.
            dtype: By default the metric's.
            aggregation: Accepted for Keras' sake; there is one device.
            name: Its name.

        Returns:
            The variable.
        """
        kind = self._dtype if dtype is None else dtype_name(dtype)
        with name_scope(self.name.replace("/", "_") or "metric"):
            if initializer is None or initializer == "zeros":
                array = np.zeros(tuple(shape), kind)
                variable = Variable(array, dtype=kind, trainable=False, name=name)
            else:
                variable = Variable(initializer, shape, dtype=kind, trainable=False, name=name)
        self._variables.append(variable)
        return variable

    def add_weight(
        self,
        shape: Any = (),
        initializer: Any = "zeros",
        dtype: Any = None,
        name: str | None = None,
    ) -> Variable:
        """The same as `add_variable`."""
        return self.add_variable(shape, initializer, dtype=dtype, name=name)

    def reset_state(self) -> None:
        """Sets all variables to zero; `fit` does it before every epoch."""
        for variable in self.variables:
            variable.assign(np.zeros(tuple(variable.shape), str(variable.dtype)))

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        """Adds a batch."""
        raise NotImplementedError(f"{type(self).__name__} must define `update_state`.")

    @contextmanager
    def _holding(self, values: Any) -> Iterator[None]:
        """While it lasts the variables have other values; afterwards their own again."""
        own, values = self.variables, list(values)
        if len(values) != len(own):
            raise ValueError(
                f"Metric {self.name!r} has {len(own)} variables; received {len(values)} values."
            )
        kept = [variable.numpy() for variable in own]
        try:
            for variable, value in zip(own, values, strict=True):
                variable.assign(value)
            yield
        finally:
            for variable, value in zip(own, kept, strict=True):
                variable.assign(value)

    def _copies(self) -> list[Any]:
        return [asarray(variable.numpy()) for variable in self.variables]

    def stateless_update_state(self, metric_variables: Any, *args: Any, **kwargs: Any) -> list[Any]:
        """The values of the variables after a batch, from given ones; the metric's own stay.

        Args:
            metric_variables: A value for each of `variables`.
            *args: The batch, as `update_state` takes it.
            **kwargs: The same.

        Raises:
            ValueError: Another number of values.
        """
        with self._holding(metric_variables):
            self.update_state(*args, **kwargs)
            return self._copies()

    def stateless_result(self, metric_variables: Any) -> Any:
        """The number that given values of the variables stand for."""
        with self._holding(metric_variables):
            return tree.map_structure(lambda x: asarray(np.array(x)), self.result())

    def stateless_reset_state(self) -> list[Any]:
        """The values of the variables before the first batch."""
        with self._holding([variable.numpy() for variable in self.variables]):
            self.reset_state()
            return self._copies()

    def result(self) -> Any:
        """The number so far."""
        raise NotImplementedError(f"{type(self).__name__} must define `result`.")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Adds a batch and gives the number so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same metric."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """The metric of a configuration."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"
