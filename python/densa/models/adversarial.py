"""Adversarial examples: inputs moved a little in the direction that harms the model most."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import ops
from densa._names import hinted
from densa._numbers import check_real_number, finite_number, whole_number
from densa.random import global_seed_generator
from densa.tensor import value_and_grad
from densa.utils import tree
from densa.utils.py_dataset import PyDataset


@hinted
def adversarial_examples(
    model: Any,
    x: Any,
    y: Any,
    epsilon: float,
    *,
    bounds: tuple[float, float] | None = None,
    batch_size: int = 256,
) -> Any:
    """Return inputs moved by the fast gradient sign method: `x + ε · sign(∂loss/∂x)`.

    The loss is that of `compile`, the model is as in inference, and nothing of it changes.

    Args:
        model: a compiled model.
        x: inputs `(rows, …)`: a floating array, or a list or dict of them.
        y: targets.
        epsilon: how far each number moves, above 0 and finite.
        bounds: least and largest value of an input, such as (0, 1) for images; None: no bounds.
        batch_size: rows at a time.

    Returns:
        Arrays like `x`.

    Raises:
        TypeError: if the inputs are not floating numbers, or a number is none.
        ValueError: if the model is not compiled, or a number is out of range.

    Example:
        >>> model = densa.Sequential([densa.Input((2,)), densa.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> x, y = np.ones((8, 2), "float32"), np.zeros((8, 1), "float32")
        >>> moved = densa.models.adversarial_examples(model, x, y, epsilon=0.1)
        >>> bool(np.allclose(np.abs(moved - x), 0.1))
        True
    """
    from densa.training.arrays import check_rows, to_arrays

    compiled = model._require_compiled("making adversarial examples")
    if compiled.loss is None:
        raise ValueError("adversarial_examples: compile the model with a loss first.")
    _check(epsilon, bounds)
    size = whole_number("batch_size", batch_size)
    x, y = to_arrays(x, "x"), to_arrays(y, "y")
    for array in tree.flatten(x):
        if array.dtype.kind != "f":
            raise TypeError(
                f"adversarial_examples: inputs of dtype {array.dtype} have no gradient; convert "
                "them to floats."
            )
    rows = check_rows(("x", x), ("y", y))
    out = tree.map_structure(np.array, x)
    # The loss of several outputs keeps their means, which belong to `fit`.
    kept = [(v, v.numpy()) for metric in compiled.loss.metrics for v in metric.variables]
    try:
        for start in range(0, rows, size):
            part = slice(start, start + size)
            few_x = tree.map_structure(lambda a: a[part], x)  # noqa: B023
            few_y = tree.map_structure(lambda a: a[part], y)  # noqa: B023
            moved = _moved(model, compiled.loss, few_x, few_y, float(epsilon), bounds)
            for whole, piece in zip(tree.flatten(out), moved, strict=True):
                whole[part] = piece
    finally:
        for metric in compiled.loss.metrics:
            metric.reset_state()
        for variable, value in kept:
            variable.assign(value)
    return out


def _moved(model: Any, loss: Any, x: Any, y: Any, epsilon: float, bounds: Any) -> list[Any]:
    def value(leaves: list[Any]) -> Any:
        return loss(y, model(tree.pack_like(x, leaves), training=False))

    leaves = [model._placed(np.ascontiguousarray(a)) for a in tree.flatten(x)]
    _, slopes = value_and_grad(value)(leaves)
    out = []
    for leaf, slope in zip(leaves, slopes, strict=True):
        moved = np.asarray((leaf + epsilon * ops.sign(slope)).numpy())
        out.append(moved if bounds is None else np.clip(moved, *bounds))
    return out


def _check(epsilon: Any, bounds: Any) -> None:
    if not finite_number("epsilon", epsilon) > 0:
        raise ValueError(f"epsilon must be above 0; received {epsilon!r}.")
    if bounds is None:
        return
    if isinstance(bounds, np.ndarray):
        bounds = bounds.tolist()
    if not isinstance(bounds, (tuple, list)) or len(bounds) != 2:
        raise ValueError(f"bounds must be (least, largest), such as (0, 1); received {bounds!r}.")
    for name, value in zip(("least", "largest"), bounds, strict=True):
        check_real_number(f"bounds: the {name} value", value)
    if not bounds[0] < bounds[1]:
        raise ValueError(f"bounds must be (least, largest); received {bounds!r}.")


class AdversarialBatches(PyDataset):
    """Batches that are half rows as they are and half the same rows moved against the model.

    The rows are moved when a batch is asked for, so that they are made against the weights of that
    moment: adversarial training by `fit`.

    Args:
        model: the compiled model that `fit` trains.
        x: inputs `(rows, …)`: a floating array, or a list or dict of them.
        y: targets.
        epsilon: how far each number moves: see `adversarial_examples`.
        batch_size: rows of the data in a batch, which has twice as many.
        bounds: least and largest value of an input; None: no bounds.
        shuffle: whether each epoch has a new order.
        seed: integer of the orders; None takes one from the global generator.

    Raises:
        TypeError: if a number is none.
        ValueError: if a number is out of range, or inputs and targets have different lengths.

    Example:
        >>> model = densa.Sequential([densa.Input((2,)), densa.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> x, y = np.ones((8, 2), "float32"), np.zeros((8, 1), "float32")
        >>> batches = densa.models.AdversarialBatches(model, x, y, epsilon=0.1, batch_size=4)
        >>> len(batches), batches[0][0].shape
        (2, (8, 2))
        >>> history = model.fit(batches, epochs=2, verbose=0)
    """

    def __init__(
        self,
        model: Any,
        x: Any,
        y: Any,
        epsilon: float,
        batch_size: int = 32,
        *,
        bounds: tuple[float, float] | None = None,
        shuffle: bool = True,
        seed: int | None = None,
    ) -> None:
        from densa.training.arrays import check_rows, to_arrays

        super().__init__()
        _check(epsilon, bounds)
        self.model = model
        self.x, self.y = to_arrays(x, "x"), to_arrays(y, "y")
        self.rows = check_rows(("x", self.x), ("y", self.y))
        self.epsilon = float(epsilon)
        self.bounds = bounds
        self.batch_size = whole_number("batch_size", batch_size)
        self.shuffle = shuffle
        if seed is None:
            seed = global_seed_generator().next()[0]
        self._draws = np.random.Generator(np.random.Philox(key=int(seed)))
        self._order = np.arange(self.rows)
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-self.rows // self.batch_size)

    def __getitem__(self, index: int) -> Any:
        chosen = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        x, y = (tree.map_structure(lambda a: a[chosen], part) for part in (self.x, self.y))
        moved = adversarial_examples(
            self.model, x, y, self.epsilon, bounds=self.bounds, batch_size=len(chosen)
        )

        def both(a: Any, b: Any) -> Any:
            leaves = zip(tree.flatten(a), tree.flatten(b), strict=True)
            return tree.pack_like(a, [np.concatenate(pair) for pair in leaves])

        return both(x, moved), both(y, y)

    def get_state(self) -> dict[str, Any]:
        """Return the order and where its random numbers are, for a training that is resumed."""
        return {"order": self._order, "draws": self._draws.bit_generator.state}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what `get_state` returned."""
        self._order = state["order"]
        self._draws.bit_generator.state = state["draws"]

    def on_epoch_end(self) -> None:
        """Draw the next epoch's order."""
        if self.shuffle:
            self._draws.shuffle(self._order)
