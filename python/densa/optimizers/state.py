"""What an optimizer keeps: its variables, how they are made, saved and loaded."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from densa._scope import name_scope
from densa.variables import Variable


class OptimizerState:
    """The variables of an optimizer; `Optimizer` inherits it and says what they are for."""

    name: str
    built: bool
    use_ema: bool
    gradient_accumulation_steps: int | None
    _trainable_variables: list[Variable]
    _own: list[Variable]  # its numbers: iteration, rate
    _averages: list[Variable]
    _accumulated: list[Variable]
    _slots: dict[str, list[Variable]]
    _places: dict[int, int] | None

    @property
    def slot_names(self) -> tuple[str, ...]:
        """Names of the variables kept per trained variable."""
        return ()

    def slot_start(self, name: str) -> float:
        """What a new slot is filled with."""
        return 0.0

    def slot_value(self, variable: Variable, name: str) -> Any:
        """What a new slot holds, also where its shape is another than the variable's.

        Args:
            variable: The trained variable.
            name: One of `slot_names`.

        Returns:
            An array, or a number for one in the variable's shape: by default `slot_start(name)`.
        """
        return self.slot_start(name)

    def slot(self, variable: Variable, name: str) -> Variable:
        """The state called `name` of a trained variable; ValueError if `slot_names` lacks it."""
        return self._slots_of(name)[self._place(variable)]

    def _slots_of(self, name: str) -> list[Variable]:
        found = self._slots.get(name)
        if found is None:
            if name not in self.slot_names:
                raise ValueError(
                    f"{type(self).__name__} keeps no state called {name!r}; its `slot_names` are "
                    f"{self.slot_names}."
                )
            # An argument set after building (momentum, amsgrad) can ask for more state.
            found = [self._slot_like(v, name) for v in self._trainable_variables]
            self._slots[name] = found
        return found

    def averages(self) -> list[tuple[Variable, Variable]]:
        """Each trained variable with its moving average; empty without `use_ema`."""
        return list(zip(self._trainable_variables, self._averages, strict=False))

    @property
    def variables(self) -> list[Variable]:
        """All state: iteration, learning rate, averages, accumulated gradients, slots."""
        out = [*self._own, *self._averages, *self._accumulated]
        names = self.slot_names
        for place in range(len(self._trainable_variables)):
            out.extend(self._slots_of(name)[place] for name in names)
        return out

    def build(self, variables: Iterable[Variable]) -> None:
        """Makes the state for `variables`; called by the first `apply`.

        Args:
            variables: The variables to train, in the order of the gradients.
        """
        if self.built:
            return
        variables = list(variables)
        self._check_patterns(variables)
        slots: dict[str, list[Variable]] = {name: [] for name in self.slot_names}
        averages: list[Variable] = []
        accumulated: list[Variable] = []
        for variable in variables:
            for name, made in slots.items():
                made.append(self._slot_like(variable, name))
            if self.use_ema:
                average = self._like(variable, "average", 0.0)
                average.assign(variable.value)
                averages.append(average)
            if self.gradient_accumulation_steps:
                accumulated.append(self._like(variable, "gradient_accumulator", 0.0))
        # Nothing is kept where the memory has not sufficed for all.
        self._slots, self._averages, self._accumulated = slots, averages, accumulated
        self._trainable_variables = variables
        self._places = None
        self.built = True

    def _check_patterns(self, variables: list[Variable]) -> None:
        """Looks at the patterns of paths that were given, before the state is made."""

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """Makes a state variable of the shape and dtype of another, for custom optimizers."""
        start = 0.0
        if initializer not in ("zeros", None):
            from densa import initializers

            shape, dtype = tuple(reference_variable.shape), str(reference_variable.dtype)
            array = np.asarray(initializers.get(initializer)(shape, dtype=dtype))
            made = self._like(reference_variable, name or "var", 0.0)
            made.assign(array)
        else:
            made = self._like(reference_variable, name or "var", start)
        self._own.append(made)
        return made

    def _get_variable_index(self, variable: Variable) -> int:
        return self._place(variable)

    def assign(self, variable: Variable, value: Any) -> None:
        """Replaces a variable's contents; the name that Keras' `update_step` uses."""
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        """Adds to a variable."""
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """Subtracts from a variable."""
        variable.assign_sub(value)

    def _slot_like(self, variable: Variable, name: str) -> Variable:
        return self._like(variable, name, self.slot_value(variable, name))

    def _like(self, variable: Variable, name: str, start: Any) -> Variable:
        shape = start.shape if isinstance(start, np.ndarray) else tuple(variable.shape)
        path = getattr(variable, "path", None) or variable.name
        rows = bool(getattr(variable, "_rows", False))
        with name_scope(self.name.replace("/", "_")):
            return Variable(
                np.full(shape, start, str(variable.dtype)),
                dtype=str(variable.dtype),
                trainable=False,
                name=f"{str(path).replace('/', '_')}_{name}",
                rows=rows,
                device=variable.device,
            )

    def _place(self, variable: Variable) -> int:
        if self._places is None:
            self._places = {id(v): i for i, v in enumerate(self._trainable_variables)}
        place = self._places.get(id(variable))
        if place is None:
            raise ValueError(
                f"Unknown variable: {getattr(variable, 'path', variable)}. This optimizer was "
                "built for other variables. If the model has changed (a layer added, or frozen "
                "and unfrozen), compile it again with a new optimizer."
            )
        return place

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_places": None}

    def save_own_variables(self, store: Any) -> None:
        """Puts the state into `store` as arrays named `"0"`, `"1"`, …"""
        for i, variable in enumerate(self.variables):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Takes the state from arrays that `save_own_variables` wrote."""
        variables = self.variables
        if len(store) != len(variables):
            warnings.warn(
                f"Skipping the state of optimizer {self.name!r}: it has {len(variables)} "
                f"variables whereas the saved one has {len(store)}.",
                UserWarning,
                stacklevel=2,
            )
            return
        arrays = [np.asarray(store[str(i)]) for i in range(len(variables))]
        for variable, array in zip(variables, arrays, strict=True):
            if tuple(array.shape) != tuple(variable.shape):
                raise ValueError(
                    f"The saved state of optimizer {self.name!r} does not fit: {variable.path} has "
                    f"shape {tuple(variable.shape)}, the saved one {tuple(array.shape)}."
                )
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array.astype(str(variable.dtype), copy=False))
