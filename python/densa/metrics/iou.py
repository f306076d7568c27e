"""Intersection over union of the samples with a label and those with it as their answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from densa import ops
from densa._masks import carried
from densa._numbers import check_real_number, whole_number
from densa.losses.loss import as_floating, same_rank

from .metric import Metric
from .reduction import what_counts


class IoU(Metric):
    """Mean over some classes of `TP / (TP + FP + FN)`, also called Jaccard index.

    Args:
        num_classes: Number of classes.
        target_class_ids: The classes whose mean is wanted.
        name: Name in logs.
        dtype: Dtype of the sums.
        ignore_class: A label whose samples do not count.
        sparse_y_true: Whether targets are class numbers rather than one-hot.
        sparse_y_pred: Whether outputs are class numbers rather than scores of classes.
        axis: Axis of the classes, where targets or outputs have one.

    Raises:
        TypeError: A number is no whole number.
        ValueError: A class number is out of range.

    Example:

    >>> import densa
    >>> metric = densa.metrics.IoU(num_classes=2, target_class_ids=[0])
    >>> round(float(metric([0, 0, 1, 1], [0, 1, 0, 1])), 4)
    0.3333
    """

    _direction = "up"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.num_classes = whole_number("num_classes", num_classes)
        if not isinstance(target_class_ids, Iterable):
            raise TypeError(
                f"target_class_ids must be a list of whole numbers; received {target_class_ids!r}."
            )
        ids = [whole_number("target_class_ids", c, least=0) for c in target_class_ids]
        if not ids or max(ids) >= self.num_classes:
            raise ValueError(
                f"target_class_ids must hold numbers from 0 to {self.num_classes - 1}; received "
                f"{list(target_class_ids)}."
            )
        self.target_class_ids = ids
        if ignore_class is not None:
            whole_number("ignore_class", ignore_class, least=-(2**31))
        self.ignore_class = ignore_class
        self.sparse_y_true = bool(sparse_y_true)
        self.sparse_y_pred = bool(sparse_y_pred)
        self.axis = whole_number("axis", axis, least=-(2**31))
        shape = (self.num_classes,)
        self.intersection = self.add_variable(shape, "zeros", name="intersection")
        self.labelled = self.add_variable(shape, "zeros", name="labelled")
        self.answered = self.add_variable(shape, "zeros", name="answered")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch of targets and outputs, weights `(rows,)` or finer."""
        y_true, sample_weight = what_counts(y_true, y_pred, sample_weight, self.dtype)
        labels, known = self._numbers(y_true, self.sparse_y_true)
        answers, also_known = self._numbers(y_pred, self.sparse_y_pred)
        labels, answers = same_rank(labels, answers)
        shapes = tuple(labels.shape), tuple(answers.shape)
        if len(shapes[0]) != len(shapes[1]) or any(
            m != n and None not in (m, n) for m, n in zip(*shapes, strict=True)
        ):
            raise ValueError(
                f"{self.name}: class numbers of targets have the shape {shapes[0]}, those of "
                f"outputs {shapes[1]}; say with sparse_y_true and sparse_y_pred which are one-hot."
            )
        known, also_known = same_rank(known, also_known)
        self._add(labels, answers, known * also_known, sample_weight)

    def _numbers(self, x: Any, sparse: bool) -> tuple[Any, Any]:
        """Class numbers, and 1 for each; NaN for a NaN, which has none."""
        x = ops.convert_to_tensor(x)
        if "float" not in str(x.dtype):
            numbers = ops.cast(x, "int64") if sparse else ops.argmax(x, axis=self.axis)
            return numbers, ops.cast(ops.ones_like(numbers), self.dtype)
        unknown = ops.isnan(x)
        if sparse:
            numbers = ops.cast(ops.where(unknown, 0.0, x), "int64")
        else:
            numbers, unknown = ops.argmax(x, axis=self.axis), ops.any(unknown, axis=self.axis)
        return numbers, ops.cast(ops.where(unknown, float("nan"), 1.0), self.dtype)

    def _add(self, labels: Any, answers: Any, weight: Any, sample_weight: Any) -> None:
        if self.ignore_class is not None:
            counted = ops.not_equal(labels, self.ignore_class)
            weight = ops.where(counted, weight, 0.0)
        if sample_weight is not None:
            sample_weight = as_floating(sample_weight, self.dtype)
            _, sample_weight = same_rank(weight, sample_weight, expand_rank_1=False)
            while len(sample_weight.shape) < len(weight.shape):
                sample_weight = ops.expand_dims(sample_weight, -1)
            weight = weight * sample_weight
        weight = ops.expand_dims(weight, -1)
        of_label, of_answer = (
            ops.one_hot(t, self.num_classes, dtype=self.dtype) for t in (labels, answers)
        )
        axes = list(range(len(of_label.shape) - 1))
        for variable, values in (
            (self.intersection, of_label * of_answer),
            (self.labelled, of_label),
            (self.answered, of_answer),
        ):
            variable.assign(variable + ops.sum(values * weight, axis=axes))

    def result(self) -> Any:
        """The mean so far over the classes that have occurred."""
        both = self.intersection.value
        union = self.labelled.value + self.answered.value - both
        shares = ops.divide_no_nan(both, union)
        chosen = ops.take(shares, self.target_class_ids, axis=0)
        occurred = ops.not_equal(ops.take(union, self.target_class_ids, axis=0), 0.0)
        return ops.divide_no_nan(ops.sum(chosen), ops.sum(ops.cast(occurred, self.dtype)))

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same metric."""
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "target_class_ids": self.target_class_ids,
            "ignore_class": self.ignore_class,
            "sparse_y_true": self.sparse_y_true,
            "sparse_y_pred": self.sparse_y_pred,
            "axis": self.axis,
        }


def _without(config: dict[str, Any], *names: str) -> dict[str, Any]:
    return {k: v for k, v in config.items() if k not in names}


class BinaryIoU(IoU):
    """Intersection over union for labels 0 and 1, and scores cut at a threshold.

    Args:
        target_class_ids: The labels whose mean is wanted: 0, 1, or both.
        threshold: Score from which on the answer is 1.
        name: Name in logs.
        dtype: Dtype of the sums.

    Raises:
        TypeError: A number is none.
        ValueError: A class number is neither 0 nor 1.

    Example:

    >>> import densa
    >>> metric = densa.metrics.BinaryIoU(threshold=0.3)
    >>> round(float(metric([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7])), 4)
    0.3333
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        check_real_number("threshold", threshold)
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = float(threshold)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch of labels 0 and 1 and scores of the same shape."""
        scores = as_floating(y_pred, self.dtype)
        answers = ops.cast(scores >= self.threshold, self.dtype)
        answers = carried(y_pred, ops.where(ops.isnan(scores), scores, answers))
        super().update_state(y_true, answers, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same metric."""
        left_out = ("num_classes", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis")
        return {**_without(super().get_config(), *left_out), "threshold": self.threshold}


class MeanIoU(IoU):
    """Mean over all classes of `TP / (TP + FP + FN)`: see `IoU`.

    Args:
        num_classes: Number of classes.
        name: Name in logs.
        dtype: Dtype of the sums.
        ignore_class: A label whose samples do not count.
        sparse_y_true: Whether targets are class numbers rather than one-hot.
        sparse_y_pred: Whether outputs are class numbers rather than scores of classes.
        axis: Axis of the classes, where targets or outputs have one.

    Raises:
        TypeError: A number is no whole number.

    Example:

    >>> import densa
    >>> metric = densa.metrics.MeanIoU(num_classes=2)
    >>> round(float(metric([0, 0, 1, 1], [0, 1, 0, 1])), 4)
    0.3333
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        every = range(whole_number("num_classes", num_classes))
        super().__init__(
            num_classes, every, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis
        )

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same metric."""
        return _without(super().get_config(), "target_class_ids")


class OneHotIoU(IoU):
    """Intersection over union of some classes, for one-hot targets: see `IoU`.

    Args:
        num_classes: Number of classes.
        target_class_ids: The classes whose mean is wanted.
        name: Name in logs.
        dtype: Dtype of the sums.
        ignore_class: A label whose samples do not count.
        sparse_y_pred: Whether outputs are class numbers rather than scores of classes.
        axis: Axis of the classes.

    Raises:
        TypeError: A number is no whole number.
        ValueError: A class number is out of range.

    Example:

    >>> import densa
    >>> metric = densa.metrics.OneHotIoU(num_classes=2, target_class_ids=[0])
    >>> float(metric([[1, 0], [0, 1]], [[0.8, 0.2], [0.6, 0.4]]))
    0.5
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis
        )

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same metric."""
        return _without(super().get_config(), "sparse_y_true")


class OneHotMeanIoU(MeanIoU):
    """Mean over all classes of intersection over union, for one-hot targets: see `IoU`.

    Args:
        num_classes: Number of classes.
        name: Name in logs.
        dtype: Dtype of the sums.
        ignore_class: A label whose samples do not count.
        sparse_y_pred: Whether outputs are class numbers rather than scores of classes.
        axis: Axis of the classes.

    Raises:
        TypeError: A number is no whole number.

    Example:

    >>> import densa
    >>> metric = densa.metrics.OneHotMeanIoU(num_classes=2)
    >>> float(metric([[1, 0], [0, 1]], [[0.8, 0.2], [0.4, 0.6]]))
    1.0
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same metric."""
        return _without(super().get_config(), "sparse_y_true")
