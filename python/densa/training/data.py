"""Where batches come from: arrays in memory, or anything that yields batches.

A source gives the batches of one pass, `batches()`; a `Feed` (feed.py) cuts them into epochs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from densa._numbers import whole_number
from densa.random import SeedGenerator, global_seed_generator
from densa.utils import tree
from densa.utils.batches import unpack_x_y_sample_weight

from .arrays import (
    DataTypes,
    NonFinite,
    check_rows,
    class_weights,
    first_non_finite_of,
    is_data,
    leaf_names,
    to_arrays,
    warn_non_finite,
)
from .own_state import OwnState

Batch = tuple[Any, Any, Any]
_LOOKED_AT = 1024  # rows at a time, where all of them are looked through


def permutation(rows: int, generator: SeedGenerator) -> Any:
    """The next random order of rows."""
    seed, count = generator.next()
    rng = np.random.Generator(np.random.Philox(key=[seed, (generator.stream << 40) + count + 1]))
    return rng.permutation(rows)


class Source:
    """What a source is to the rest: steps and rows of one pass where known, and the batches."""

    steps: int | None = None
    rows: int | None = None
    batch_size: int | None = None
    restarts = True  # whether batches() can be called again for the same data
    met_non_finite = False  # whether a batch held a NaN or an infinity
    # The state of the random generator that the order of the pass was drawn from.
    drawn_from: list[int] | None = None
    skip = 0  # batches that the next pass leaves out, as they have been
    own: OwnState | None = None  # what gives the batches, where its state is to be kept

    # What gives the generator of the orders; None: the global one.
    orders: Callable[[], SeedGenerator | None] | None = None

    _draw_from: list[int] | None = None

    def batches(self) -> Iterator[Batch]:
        """One pass over the data: `(x, y, sample_weight)` with arrays as leaves."""
        raise NotImplementedError

    def go_on(self, drawn_from: list[int] | None, skip: int) -> None:
        """Makes the next pass the rest of one that was begun before.

        Args:
            drawn_from: What `drawn_from` was in that pass.
            skip: How many of its batches have been.
        """
        self._draw_from, self.skip = drawn_from, skip

    def non_finite(self) -> NonFinite | None:
        """What is not finite: in all rows of arrays, else in the first batch that held such."""
        return None

    def keep_own_state(self) -> None:
        """Told before a training that may be resumed."""

    def take_skip(self) -> int:
        """How many batches the pass that begins now leaves out."""
        skip, self.skip = self.skip, 0
        return skip

    def peek(self) -> Batch:
        """A batch to build things with, out of turn."""
        raise NotImplementedError

    def _permutation(self, count: int) -> Any:
        generator = (self.orders and self.orders()) or global_seed_generator()
        now = [int(n) for n in generator.state]
        state, self._draw_from = self._draw_from, None
        self.drawn_from = now if state is None else state
        if state is None:
            return permutation(count, generator)
        generator.set_state(state)
        try:
            return permutation(count, generator)
        finally:
            generator.set_state(now)

    def end_of_epoch(self) -> None:
        """Called after each epoch."""


class ArraySource(Source):
    """Rows of arrays in memory; a native loop reads the arrays itself.

    Args:
        x: Structure of arrays.
        y: Structure of arrays, or None.
        sample_weight: Structure of arrays, or None.
        batch_size: Rows in a batch; the last one may have fewer.
        shuffle: Whether each pass has a new order; `"batch"` keeps batches together.
        types: What floating numbers are cast to; None is float32.
        names: What the inputs are called in messages.

    Raises:
        ValueError: Numbers of rows differ, or there are none.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int = 32,
        shuffle: bool | str = False,
        types: DataTypes | None = None,
        names: list[str] | None = None,
    ) -> None:
        self.x, self.y, self.sample_weight = x, y, sample_weight
        self.rows = check_rows(("x", x), ("y", y), ("sample_weight", sample_weight), names=names)
        if self.rows == 0:
            raise ValueError("The data has no rows: pass arrays with at least one row.")
        self.batch_size = int(batch_size)
        self._extent = (self.rows, self.batch_size)
        self.steps = -(-self.rows // self.batch_size)
        self.shuffle = shuffle
        self.types = types or DataTypes(dtype="float32")
        self.names = [
            *leaf_names(x, "x", names),
            *leaf_names(y, "y"),
            *leaf_names(sample_weight, "sample_weight"),
        ]
        self._unchecked = True
        self._non_finite: NonFinite | None = None
        self._looked_through = False

    @property
    def arrays(self) -> list[Any]:
        """All arrays, in the order of `names`."""
        parts = (self.x, self.y, self.sample_weight)
        return [leaf for part in parts if part is not None for leaf in tree.flatten(part)]

    def order(self) -> Any:
        """Row numbers of the next pass, None for the given order."""
        if not self.shuffle:
            return None
        rows, size = self._extent
        if self.shuffle == "batch":
            full = rows // size
            starts = self._permutation(full)[:, None] * size
            order = (starts + np.arange(size)).reshape(-1)
            return np.concatenate([order, np.arange(full * size, rows)])
        return self._permutation(rows)

    def peek(self) -> Batch:
        """The first row."""
        return self._take(slice(0, 1))

    def batches(self) -> Iterator[Batch]:
        """One pass, in a new order if shuffled."""
        order = self.order()
        count, size = self._extent
        for begin in range(self.take_skip() * size, count, size):
            end = min(begin + size, count)
            rows = slice(begin, end) if order is None else order[begin:end]
            batch = self._take(rows)
            if self._unchecked:
                self._check_finite(batch)
            yield batch
        self._unchecked = False

    def _take(self, rows: Any) -> Batch:
        def one(array: Any) -> Any:
            return None if array is None else array[rows]

        parts = (self.x, self.y, self.sample_weight)
        return self.types.cast(*(None if p is None else tree.map_structure(one, p) for p in parts))

    def _check_finite(self, batch: Batch) -> None:
        if first_non_finite_of(self.names, batch) is None:
            return
        # Batches come in any order; the row that is named is the smallest one, on every path.
        self._unchecked = False
        self.met_non_finite = True
        found = self.non_finite()
        if found is not None and found.row is not None:
            warn_non_finite(found.name, found.row)

    def non_finite(self) -> NonFinite | None:
        """What is not finite in all rows; they are looked through once."""
        if not self._looked_through:
            self._looked_through = True
            step = max(self._extent[1], _LOOKED_AT)
            for begin in range(0, self._extent[0], step):
                batch = self._take(slice(begin, begin + step))
                found = first_non_finite_of(self.names, batch)
                if found is not None:
                    here = NonFinite.of(found[0], begin + found[1], batch)
                    self._non_finite = here if self._non_finite is None else self._non_finite + here
        return self._non_finite


class StreamSource(Source):
    """A generator, or anything that can be iterated over, of batches.

    Args:
        stream: Yields `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`.
        types: What floating numbers are cast to; None is float32.
        class_weight: `{class: weight}`, or None.
        names: What the inputs are called in messages.
        classes: How many classes the output has, None where that is not known.
    """

    def __init__(
        self,
        stream: Any,
        types: DataTypes | None = None,
        class_weight: Any = None,
        names: list[str] | None = None,
        classes: int | None = None,
    ) -> None:
        self.stream = stream
        self.classes = classes
        self.types = types or DataTypes(dtype="float32")
        self.class_weight = class_weight
        self.names = names
        self._non_finite: NonFinite | None = None
        self.restarts = iter(stream) is not stream
        if self.restarts and hasattr(stream, "__len__"):
            self.steps = len(stream)

    @property
    def kind(self) -> str:
        """Type of what yields the batches, for messages."""
        return type(self.stream).__name__

    def keep_own_state(self) -> None:
        """Told before a training that may be resumed."""
        self.own = OwnState(self.stream, by_pass=True)

    def batches(self) -> Iterator[Batch]:
        """What is left of the stream, or all of it again."""
        start, skip = 0, self.take_skip()
        if self.own is None:
            stream: Any = itertools.islice(self.stream, skip, None)
        else:
            stream = self.own.begin_pass(self.stream, skip)
        for number, item in enumerate(stream, skip):
            batch = self.standardize(item, start, number)
            start += batch_rows(batch)
            yield batch

    def peek(self) -> Batch:
        """The first batch of what is left."""
        stream = iter(self.stream)
        first = next(stream)
        if not self.restarts:
            self.stream = itertools.chain([first], stream)
        return self.standardize(first)

    def standardize(self, item: Any, start: int = 0, number: int = 0) -> Batch:
        """A batch as arrays, checked.

        Args:
            item: What the stream gave.
            start: Rows of the batches before, for messages.
            number: Number of the batch, for messages.

        Raises:
            ValueError: It holds no numbers, numbers of rows differ, or there are none.
        """
        x, y, weight = unpack_x_y_sample_weight(item)
        x = to_arrays(x, "x", self.names)
        y = to_arrays(y, "y")
        weight = to_arrays(weight, "sample_weight")
        if self.class_weight is not None:
            if weight is not None:
                raise ValueError("Pass `class_weight` or sample weights in the batches, not both.")
            weight = class_weights(y, self.class_weight, self.classes)
        parts = (("x", x), ("y", y), ("sample_weight", weight))
        if check_rows(*parts, names=self.names) == 0:
            raise ValueError(
                f"Batch {number} (counted from 0) of `x` ({self.kind}) has no rows; expected at "
                "least one. Leave empty batches out."
            )
        cast = self.types.cast(x, y, weight)
        if not self.met_non_finite:
            names = [*leaf_names(x, "x", self.names), *leaf_names(y, "y")]
            found = first_non_finite_of(names, cast[:2])
            if found is not None:
                self.met_non_finite = True
                self._non_finite = NonFinite.of(found[0], start + found[1], cast)
                warn_non_finite(found[0], start + found[1])
        return cast

    def non_finite(self) -> NonFinite | None:
        """What is not finite in the first batch that held such."""
        return self._non_finite


class PyDatasetSource(StreamSource):
    """A `PyDataset`: batches by number, in a new order per epoch if shuffled."""

    def __init__(
        self,
        dataset: Any,
        types: DataTypes | None = None,
        class_weight: Any = None,
        shuffle: bool | str = False,
        names: list[str] | None = None,
        classes: int | None = None,
    ) -> None:
        self.dataset = dataset
        self.classes = classes
        self.types = types or DataTypes(dtype="float32")
        self.class_weight = class_weight
        self.names = names
        self.shuffle = shuffle
        self.restarts = True
        count = getattr(dataset, "num_batches", None)
        count = count() if callable(count) else count
        self.steps = int(count) if count is not None else None
        self._non_finite: NonFinite | None = None

    @property
    def kind(self) -> str:
        """Type of the dataset, for messages."""
        return type(self.dataset).__name__

    def keep_own_state(self) -> None:
        """Told before a training that may be resumed."""
        self.own = OwnState(self.dataset, by_pass=False)

    def batches(self) -> Iterator[Batch]:
        """One pass; without end where the number of batches is unknown."""
        begin = getattr(self.dataset, "on_epoch_begin", None)
        if begin is not None:
            begin() if self.own is None else self.own.begin_epoch(begin)
        if self.steps is None:
            numbers: Any = itertools.count()
        else:
            numbers = self._permutation(self.steps) if self.shuffle else range(self.steps)
        start = 0
        for number in itertools.islice(numbers, self.take_skip(), None):
            batch = self.standardize(self.dataset[int(number)], start, int(number))
            start += batch_rows(batch)
            yield batch

    def peek(self) -> Batch:
        """The first batch."""
        return self.standardize(self.dataset[0])

    def end_of_epoch(self) -> None:
        """Tells the dataset."""
        end = getattr(self.dataset, "on_epoch_end", None)
        if end is not None:
            end()


def batch_rows(batch: Batch) -> int:
    """The number of rows of a batch."""
    for part in batch:
        for leaf in tree.flatten(part) if part is not None else ():
            if leaf is not None:
                return int(leaf.shape[0])
    return 0


def make_source(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    shuffle: bool | str = False,
    class_weight: Any = None,
    types: DataTypes | None = None,
    names: list[str] | None = None,
    check: Callable[[Any], None] | None = None,
    classes: int | None = None,
) -> Source:
    """The source for whatever `fit`, `evaluate` and `predict` accept.

    Args:
        x: Arrays, Tensors, DataFrames, structures of them; or batches: a generator, an iterable,
            a PyDataset.
        y: Targets; None where `x` yields batches.
        sample_weight: Weights; None where `x` yields batches.
        batch_size: Rows in a batch of arrays; 32 by default.
        shuffle: See `ArraySource`.
        class_weight: `{class: weight}`, or None.
        types: What floating numbers are cast to; None is float32.
        names: Names of the model's inputs.
        check: Called with the arrays of `x`; raises where they do not fit the model.
        classes: How many classes the output has, None where that is not known.

    Raises:
        TypeError: `batch_size` is no whole number.
        ValueError: The arguments do not go together, or `x` is none of these.
    """
    if x is None:
        raise ValueError("There is no data: `x` is None.")
    # An empty list without targets may have been meant as one of batches.
    if isinstance(x, list | tuple | dict) and not x and (y is not None or isinstance(x, dict)):
        wanted = f" for the inputs {names}" if names else ""
        raise ValueError(
            f"There is no data: `x` is an empty {type(x).__name__}; pass arrays{wanted}."
        )
    if batch_size is not None:
        batch_size = whole_number("`batch_size`", batch_size)
    if is_data(x):
        x = to_arrays(x, "x", names)
        y = to_arrays(y, "y")
        sample_weight = to_arrays(sample_weight, "sample_weight")
        if class_weight is not None:
            if sample_weight is not None:
                raise ValueError(
                    "You cannot pass `class_weight` and `sample_weight` at the same time."
                )
            sample_weight = class_weights(y, class_weight, classes)
        if check is not None:
            check(x)
        return ArraySource(
            x,
            y,
            sample_weight,
            batch_size=32 if batch_size is None else batch_size,
            shuffle=shuffle,
            types=types,
            names=names,
        )
    kind = type(x).__name__
    if isinstance(x, str | bytes) or not (hasattr(x, "__iter__") or hasattr(x, "__getitem__")):
        raise ValueError(
            f"`x` of type {kind} is no data. Expected arrays, Tensors, DataFrames, lists or dicts "
            "of these, or a generator, an iterable or a PyDataset of batches."
        )
    for name, given in (("y", y), ("sample_weight", sample_weight)):
        if given is not None:
            raise ValueError(
                f"When `x` yields batches ({kind}), `{name}` must not be given: the batches hold "
                f"it; received {name}={type(given).__name__}."
            )
    if hasattr(x, "num_batches") and hasattr(x, "__getitem__"):
        return PyDatasetSource(x, types, class_weight, shuffle, names, classes)
    return StreamSource(x, types, class_weight, names, classes)
