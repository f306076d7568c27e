"""The metrics of `compile` as one metric."""

from __future__ import annotations

from typing import Any

from densa import metrics as metrics_module
from densa._scope import to_snake_case
from densa.metrics import MeanMetricWrapper, Metric
from densa.utils import tree
from densa.variables import Variable

from .compile_loss import CompileLoss
from .structure import outputs_have_names, outputs_of, per_output, unused


class CompileMetrics(Metric):
    """Every metric and weighted metric of every output.

    Args:
        metrics: A list; with several outputs also a list of lists, or a dict by output name.
        weighted_metrics: The same, given the sample weights.
        output_names: The model's output names where it has them.
        name: Name of the whole.
        loss: The `CompileLoss` beside it, which tells what targets belong to which output.
    """

    def __init__(
        self,
        metrics: Any,
        weighted_metrics: Any,
        output_names: list[str] | None = None,
        name: str = "compile_metrics",
        loss: CompileLoss | None = None,
    ) -> None:
        for what, given in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if given is not None and not isinstance(given, list | tuple | dict):
                raise ValueError(
                    f"Expected `{what}` argument to be a list, tuple, or dict. Received instead: "
                    f"{what}={given!r} of type {type(given).__name__}"
                )
        super().__init__(name=name)
        self._loss = loss
        self._given = {False: metrics, True: weighted_metrics}
        self.output_names = output_names
        # (index of the output, its name if there are several, metric, whether it is weighted)
        self._parts: list[tuple[int, str | None, Metric, bool]] | None = None
        _check_names(metrics)
        _check_names(weighted_metrics)

    @property
    def metrics(self) -> list[Metric]:
        """The metrics; empty before the first batch."""
        return [part[2] for part in self._parts or []]

    @property
    def objects(self) -> list[Metric]:
        """The metrics; before the first batch those that were given as objects."""
        if self._parts is None:
            given = tree.flatten(list(self._given.values()))
            return [item for item in given if isinstance(item, Metric)]
        return self.metrics

    @property
    def variables(self) -> list[Variable]:
        """The variables of all metrics."""
        return [v for metric in self.metrics for v in metric.variables]

    @property
    def names(self) -> list[str]:
        """Names of the results, in order; empty before the first batch."""
        return [name for name, _ in self._named()]

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Settles which metric belongs to which output; `"accuracy"` by loss and shapes."""
        names, outputs = outputs_of(y_pred, self.output_names)
        targets = self._targets(y_true, y_pred, names)
        labelled = len(names) > 1 and outputs_have_names(y_pred, self.output_names)
        parts: list[tuple[int, str | None, Metric, bool]] = []
        for weighted, given in self._given.items():
            for i, listed in enumerate(_lists("metrics", given, names)):
                label = names[i] if labelled else None
                for item in listed:
                    if item is None:
                        continue
                    metric = resolve_metric(item, targets[i], outputs[i])
                    parts.append((i, label, metric, weighted))
        self._parts = parts

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch."""
        if self._parts is None:
            self.build(y_true, y_pred)
        if not self._parts:
            return
        names, outputs = outputs_of(y_pred, self.output_names)
        targets = self._targets(y_true, y_pred, names)
        weights = per_output("sample_weight", sample_weight, names, spread=True)
        for i, _, metric, weighted in self._parts:
            if targets[i] is None:
                raise ValueError(
                    f"There is no target for the output {names[i]!r}, which has the metric "
                    f"{metric.name!r}. Pass one, or set its metrics to None."
                )
            if weighted and weights[i] is not None:
                metric.update_state(targets[i], outputs[i], sample_weight=weights[i])
            else:
                metric.update_state(targets[i], outputs[i])

    def _targets(self, y_true: Any, y_pred: Any, names: list[str]) -> list[Any]:
        found = None if self._loss is None else self._loss.targets_of(y_true, y_pred)
        return per_output_targets(y_true, names) if found is None else found

    def reset_state(self) -> None:
        """Resets all metrics."""
        for metric in self.metrics:
            metric.reset_state()

    def _named(self) -> list[tuple[str, Metric]]:
        out: list[tuple[str, Metric]] = []
        used: set[str] = set()
        for _, label, metric, weighted in self._parts or []:
            prefix = "" if label is None else f"{label}_"
            name = f"{prefix}{metric.name}"
            if name in used and weighted:
                name = f"{prefix}weighted_{metric.name}"
            name = unused(name, used)
            used.add(name)
            out.append((name, metric))
        return out

    def result(self) -> dict[str, Any]:
        """All results by name."""
        out: dict[str, Any] = {}
        for name, metric in self._named():
            value = metric.result()
            if isinstance(value, dict):
                out.update(value)
            else:
                out[name] = value
        return out

    def get_config(self) -> dict[str, Any]:
        """Not serialized by itself: the model's compile configuration holds the metrics."""
        raise NotImplementedError


def _check_names(given: Any) -> None:
    # Unknown names are found at compile rather than at the first batch.
    if isinstance(given, dict):
        given = list(given.values())
    for item in given or ():
        if isinstance(item, list | tuple | dict) and not (
            isinstance(item, dict) and "class_name" in item
        ):
            _check_names(item)
        elif isinstance(item, str) and item.lower() not in _BY_SHAPE:
            metrics_module.get(item)
        elif item is not None and not isinstance(item, str | dict | Metric) and not callable(item):
            raise ValueError(f"Could not interpret metric identifier: {item!r}.")


def per_output_targets(y_true: Any, names: list[str]) -> list[Any]:
    """Targets by output; a single one with several outputs belongs to the first."""
    if isinstance(y_true, dict):
        return [y_true.get(name) for name in names]
    if isinstance(y_true, list | tuple):
        padded = [*y_true, *[None] * len(names)]
        return padded[: len(names)]
    return [y_true, *[None] * (len(names) - 1)]


def _lists(what: str, given: Any, names: list[str]) -> list[list[Any]]:
    if given is None:
        return [[] for _ in names]
    nested = isinstance(given, list | tuple) and any(isinstance(g, list | tuple) for g in given)
    if len(names) == 1 and not isinstance(given, dict):
        if nested and len(given) == 1:
            given = given[0]
        return [list(given)]
    if isinstance(given, list | tuple) and len(given) == 0:
        return [[] for _ in names]
    entries = per_output(f"`{what}`", given, names)
    return [[] if e is None else list(e) if isinstance(e, list | tuple) else [e] for e in entries]


_BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")


def resolve_metric(item: Any, y_true: Any, y_pred: Any) -> Metric:
    """A metric object for what stands in `compile(metrics=[…])`."""
    if isinstance(item, Metric):
        return item
    name = str(item) if isinstance(item, str) else None
    if name is not None and name.lower() in _BY_SHAPE and y_true is not None:
        found: Any = _by_shape(name, y_true, y_pred)
    else:
        found = metrics_module.get(item)
    metric: Metric
    if isinstance(found, Metric):
        metric = found
    else:
        metric = MeanMetricWrapper(found, name=_name_of(found))
    if name is not None:
        metric.name = name
    return metric


def _name_of(function: Any) -> str:
    # Keras' names: of objects their own, of functions and classes in lower case.
    own = getattr(function, "name", None)
    if isinstance(own, str):
        return own
    return to_snake_case(getattr(function, "__name__", type(function).__name__))


def _by_shape(name: str, y_true: Any, y_pred: Any) -> Metric:
    truth, output = tuple(y_true.shape), tuple(y_pred.shape)
    binary = output[-1] == 1
    sparse = len(truth) < len(output) or (truth[-1] == 1 and (output[-1] or 0) > 1)
    if name.lower() in ("accuracy", "acc"):
        kinds: tuple[Any, Any, Any] = (
            metrics_module.BinaryAccuracy,
            metrics_module.SparseCategoricalAccuracy,
            metrics_module.CategoricalAccuracy,
        )
    else:
        kinds = (
            metrics_module.BinaryCrossentropy,
            metrics_module.SparseCategoricalCrossentropy,
            metrics_module.CategoricalCrossentropy,
        )
    made: Metric = kinds[0 if binary else 1 if sparse else 2](name=name)
    return made
