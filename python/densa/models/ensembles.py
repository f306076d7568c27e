"""Several models as one: the mean of their outputs, and bagging."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from densa._names import hinted
from densa._numbers import whole_number
from densa.layers.average import Average
from densa.layers.input_layer import Input
from densa.models.model import Model
from densa.random import global_seed_generator
from densa.utils import tree


@hinted
def average_models(models: Sequence[Model], name: str | None = None) -> Model:
    """Make a model whose outputs are the means of several models' outputs.

    The models are part of it: what trains one later changes the mean. It can be saved, frozen and
    compiled like any other.

    Args:
        models: at least two models that know their inputs (Sequential or functional), with inputs
            of the same shapes and types and outputs of the same shapes, each with a name of its
            own.
        name: name of the new model.

    Returns:
        The model, not compiled.

    Raises:
        TypeError: for something that is no model.
        ValueError: for fewer than two, for shapes, types or structures that differ, or names used
            twice.

    Example:
        >>> nets = [densa.Sequential([densa.Input((4,)), densa.layers.Dense(2)]) for _ in range(3)]
        >>> mean = densa.models.average_models(nets)
        >>> x = np.ones((1, 4), "float32")
        >>> due = np.mean([net.predict(x, verbose=0) for net in nets], axis=0)
        >>> bool(np.allclose(mean.predict(x, verbose=0), due))
        True
    """
    if isinstance(models, Model) or not np.iterable(models):
        raise TypeError(
            "average_models expects a list of models, at least two; received "
            f"{type(models).__name__}."
        )
    models = list(models)
    for model in models:
        if not isinstance(model, Model):
            raise TypeError(f"average_models expects models; received {type(model).__name__}.")
        if model._graph is None:
            raise ValueError(
                f"average_models: model '{model.name}' does not know its inputs. Put an Input at "
                "the front of a Sequential; for a model with a `call` of its own average what "
                "`predict` gives."
            )
    if len(models) < 2:
        raise ValueError(f"average_models needs at least two models; received {len(models)}.")
    first = models[0]
    for model in models[1:]:
        for what in ("input", "output"):
            one, other = (_structure(getattr(m, what)) for m in (first, model))
            if one != other:
                raise ValueError(
                    f"average_models: the {what}s of model '{first.name}' are {one}, those of "
                    f"model '{model.name}' are {other}; the same structure is expected."
                )
        for what in ("input_shape", "output_shape"):
            one, other = getattr(first, what), getattr(model, what)
            if one != other:
                raise ValueError(
                    f"average_models: model '{first.name}' has the {what} {one}, model "
                    f"'{model.name}' has {other}."
                )
        types, others = ([x.dtype for x in tree.flatten(m.input)] for m in (first, model))
        if types != others:
            raise ValueError(
                f"average_models: model '{first.name}' takes inputs of the types {types}, model "
                f"'{model.name}' of {others}; one input can have one type only. Make the models "
                "with Input(..., dtype=...) alike."
            )
    names = [model.name for model in models]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise ValueError(
            f"average_models: {names.count(twice[0])} models are called '{twice[0]}'. Set "
            "`model.name` of all but one to another name."
        )
    inputs = tree.map_structure(
        lambda x: Input(batch_shape=x.shape, dtype=x.dtype, name=x._keras_history[0].name),
        first.input,
    )
    outputs = [tree.flatten(model(inputs)) for model in models]
    means = [Average()(list(same)) for same in zip(*outputs, strict=True)]
    return Model(inputs, tree.pack_like(first.output, means), name=name)


def _structure(values: Any) -> str:
    """How a model's inputs or outputs are put together, as text."""
    if isinstance(values, dict):
        inside = ", ".join(f"{key!r}: {_structure(values[key])}" for key in sorted(values))
        return f"{{{inside}}}"
    if isinstance(values, (list, tuple)):
        return f"[{', '.join(map(_structure, values))}]"
    return "an array"


def bagging(
    make: Callable[[], Model],
    x: Any,
    y: Any,
    members: int = 10,
    *,
    seed: int | None = None,
    sample_weight: Any = None,
    **fit: Any,
) -> Model:
    """Train models on bootstrap samples and make their mean: bagging.

    Each model sees as many rows as there are, drawn with replacement.

    Args:
        make: gives a new compiled model, which knows its inputs.
        x: inputs: an array, or a list or dict of them.
        y: targets, alike.
        members: number of models, at least 2.
        seed: integer from which the rows are drawn; None takes one from the global generator.
        sample_weight: weight of each row, drawn with it.
        **fit: further arguments of `fit`. A `BackupAndRestore` keeps each member in a folder of its
            own inside its `backup_dir`; called again after a kill, with the same seeds, members
            that had ended are trained again, and the one that had not goes on.

    Returns:
        The mean of the models (`average_models`), not compiled.

    Raises:
        TypeError: if `members` or `seed` is no whole number, or `make` gives no model.
        ValueError: for fewer than two members, no rows, or a model that is not compiled, does not
            know its inputs or has been there before.

    Example:
        >>> def make():
        ...     model = densa.Sequential([densa.Input((1,)), densa.layers.Dense(1)])
        ...     model.compile("sgd", "mse")
        ...     return model
        >>> x = np.linspace(0, 1, 20)[:, None]
        >>> mean = densa.models.bagging(make, x, 2 * x, members=3, seed=1, epochs=2, verbose=0)
        >>> mean.predict(x, verbose=0).shape
        (20, 1)
    """
    from densa.training.arrays import check_rows, to_arrays

    if isinstance(make, Model) or not callable(make):
        raise TypeError(
            "bagging: make is a function that gives a new compiled model each time; received "
            f"{type(make).__name__}."
        )
    members = whole_number("members", members, least=2)
    x, y = to_arrays(x, "x"), to_arrays(y, "y")
    sample_weight = to_arrays(sample_weight, "sample_weight")
    rows = check_rows(("x", x), ("y", y), ("sample_weight", sample_weight))
    if not rows:
        raise ValueError("bagging: there are no rows to draw from.")
    seed = global_seed_generator().next()[0] if seed is None else whole_number("seed", seed, 0)
    draws = np.random.Generator(np.random.Philox(key=int(seed)))
    made: list[Model] = []
    names: set[str] = set()
    for i in range(members):
        chosen = draws.integers(0, rows, rows)

        def drawn(data: Any, chosen: Any = chosen) -> Any:
            return None if data is None else tree.map_structure(lambda a: a[chosen], data)

        model = make()
        _check_member(model, made)
        if model.name in names:
            model.name = f"{model.name}_{i}"
        names.add(model.name)
        with _own_backups(fit, i) as arguments:
            model.fit(drawn(x), drawn(y), sample_weight=drawn(sample_weight), **arguments)
        made.append(model)
    return average_models(made, name="bagging")


@contextmanager
def _own_backups(fit: dict[str, Any], member: int) -> Iterator[dict[str, Any]]:
    """The arguments of `fit` with backups in a folder of the member's own."""
    from densa.callbacks import BackupAndRestore, CallbackList

    given = CallbackList(fit.get("callbacks")).given
    backups = [callback for callback in given if isinstance(callback, BackupAndRestore)]
    if not backups:
        yield fit
        return
    folders = [backup.backup_dir for backup in backups]
    try:
        for backup, folder in zip(backups, folders, strict=True):
            backup.backup_dir = os.path.join(folder, f"member{member}")
        yield fit
    finally:
        for backup, folder in zip(backups, folders, strict=True):
            backup.backup_dir = folder
            if os.path.isdir(folder) and not os.listdir(folder):
                os.rmdir(folder)


def _check_member(model: Any, made: list[Model]) -> None:
    if not isinstance(model, Model):
        raise TypeError(f"bagging: make must return a model; it gave {type(model).__name__}.")
    if any(model is other for other in made):
        raise ValueError(
            f"bagging: make gave model '{model.name}' a second time; each call must make a new one."
        )
    if model.optimizer is None:
        raise ValueError(
            f"bagging: model '{model.name}' is not compiled; call its compile(...) in make."
        )
