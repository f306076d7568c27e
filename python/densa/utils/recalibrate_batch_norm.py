"""`recalibrate_batch_norm`: exact statistics in place of moving averages."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from densa import _core
from densa._names import hinted
from densa._numbers import whole_number
from densa.utils import tree


@hinted
def recalibrate_batch_norm(
    model: Any, x: Any, *, batch_size: int | None = None, steps: int | None = None
) -> None:
    """Set the moving mean and variance of each batch norm to those of its input over all of x.

    Moving averages lag behind weights that still change, and are means over small batches. Here
    each batch norm gets the exact mean and (biased) variance of what reaches it in inference, in
    float64 and one layer after the other, as the statistics of one decide what reaches the next:
    one pass over the data for each. Weights stay as they are; dropout is off. Batch norms with
    `trainable=False`, whose statistics belong to their weights, and those that x does not reach
    keep theirs.

    Args:
        model: a model that is built.
        x: its inputs, arrays or what yields batches, as for `predict`; of batches (x, y) the x is
            taken. It must be readable again where the model has several batch norms.
        batch_size: rows at a time, for arrays; 256 by default. Only memory depends on it.
        steps: batches to look at; None is all.

    Raises:
        TypeError: for what is no model.
        ValueError: for a model that is not built or without a batch norm to set, data that does not
            fit it or cannot be read again, and statistics that are not finite. The model is then
            as it was.

    Example:
        >>> model = densa.Sequential([densa.Input((1,)), densa.layers.BatchNormalization()])
        >>> densa.utils.recalibrate_batch_norm(model, np.array([[1.0], [3.0]]))
        >>> model.layers[0].moving_mean.numpy(), model.layers[0].moving_variance.numpy()
        (array([2.], dtype=float32), array([1.], dtype=float32))
    """
    if not hasattr(model, "_source"):
        raise TypeError(
            f"recalibrate_batch_norm: expected a model, then the data; received {model!r} of type "
            f"{type(model).__name__}."
        )
    if not model.built:
        raise ValueError(
            f"recalibrate_batch_norm: model '{model.name}' is not built; call it once first."
        )
    if steps is not None:
        steps = whole_number("steps", steps)
    from densa.layers.batch_normalization import BatchNormalization  # layers import utils

    norms = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, BatchNormalization) and layer.trainable
    ]
    if not norms:
        raise ValueError(
            f"recalibrate_batch_norm: model '{model.name}' has no trainable BatchNormalization."
        )
    passes = _Passes(model, x, 256 if batch_size is None else batch_size, steps, len(norms) > 1)
    order = passes.first_uses(norms) if len(norms) > 1 else norms
    before = [(v, v.numpy().copy()) for n in norms for v in (n.moving_mean, n.moving_variance)]
    try:
        for norm in order:
            moments = passes.moments(norm)
            if moments is not None:
                for variable, value in zip(
                    (norm.moving_mean, norm.moving_variance), moments, strict=True
                ):
                    variable.assign(value.reshape(variable.shape).astype(norm.variable_dtype))
    except BaseException:
        for variable, value in before:
            variable.assign(value)
        raise


class _Passes:
    """Passes of the data through the model in inference, with a look at what layers get."""

    def __init__(self, model: Any, x: Any, batch_size: int, steps: int | None, again: bool) -> None:
        self._model, self._steps = model, steps
        self._source = model._source(x, batch_size=batch_size, targets=False)
        if again and not self._source.restarts:
            raise ValueError(
                "recalibrate_batch_norm: the model has several batch norms, each of which needs a "
                "pass over the data, and a generator gives one. Pass arrays or an iterable that "
                "can begin again."
            )

    def _batches(self, steps: int | None) -> Iterator[Any]:
        for batch in itertools.islice(self._source.batches(), steps):
            yield tree.map_structure(
                lambda a: None if a is None else self._model._placed(np.ascontiguousarray(a)),
                batch[0],
            )

    def _run(self, layers: list[Any], look: Any, steps: int | None) -> None:
        """Run the model on the batches; `look(layer, inputs)` is told each use of the layers."""
        calls = {layer: layer.call for layer in layers}

        def watched(layer: Any) -> Any:
            def call(inputs: Any, training: Any = None) -> Any:
                look(layer, inputs)
                return calls[layer](inputs, training)

            return call

        for layer in layers:
            layer.__dict__["call"] = watched(layer)
        try:
            with _core.no_grad():
                for x in self._batches(steps):
                    self._model(x, training=False)
        finally:
            for layer in layers:
                del layer.__dict__["call"]

    def first_uses(self, layers: list[Any]) -> list[Any]:
        """Return the layers in the order in which the model comes to them."""
        used: dict[Any, None] = {}
        self._run(layers, lambda layer, _: used.setdefault(layer), 1)
        return list(used)

    def moments(self, layer: Any) -> tuple[Any, Any] | None:
        """Return mean and variance of all that reaches a batch norm; None if nothing does."""
        from densa.layers._helpers import axes_of
        from densa.layers._moments import Moments

        found = Moments()

        def look(_: Any, inputs: Any) -> None:
            found.add(inputs.numpy(), axes_of(layer.axis, len(inputs.shape), layer.name))

        self._run([layer], look, self._steps)
        if found.count == 0:
            return None
        return found.result(
            f"recalibrate_batch_norm: what reaches layer '{layer.name}' of '{self._model.name}'"
        )
