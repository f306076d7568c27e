"""Single training steps over arrays, for benchmarks and profiles."""

from __future__ import annotations

from typing import Any

from densa._names import hinted

from .native import NativeRunner
from .recording import rows_of


class StepRunner:
    """Runs single steps over arrays, epoch after epoch: for benchmarks and profiles.

    Args:
        model: A compiled model.
        x: Inputs.
        y: Targets.
        batch_size: Rows in a batch.
    """

    def __init__(self, model: Any, x: Any, y: Any, batch_size: int = 32) -> None:
        self.source = model._source(x, y, None, batch_size, True)
        runner = model._runner("train")
        if not isinstance(runner, NativeRunner):
            raise ValueError("This model does not train natively; see model.explain_plan().")
        bound = runner._bound((self.source.x, self.source.y, None), batch_size)
        if bound is None:
            raise ValueError("This model's step cannot be recorded; see model.explain_plan().")
        self.plan = bound.plan
        self._bound = bound
        self._runner = runner
        self._model = model

    def _renew(self) -> None:
        source = self.source
        # Whole batches only, so that every step costs the same.
        rows = max(source.rows // source.batch_size, 1) * source.batch_size
        self.plan.begin(
            rows_of((source.x, source.y, None)),
            source.order(),
            0,
            min(rows, source.rows),
            source.batch_size,
            unchanged=self._bound.source is source,
        )
        self._bound.source = source

    def run(self, steps: int) -> float:
        """Runs `steps` steps, with a new random order for each pass; returns their mean loss.

        When it returns, a GPU has done them all.
        """
        self._model.reset_metrics()
        while steps > 0:
            if self.plan.done:
                self._renew()
            steps -= self._runner._advance(
                self._bound, steps, 0.0, self._runner._rates(self._bound, 1)
            )
        return float(self._model.get_metrics_result()["loss"])

    def profile(self, steps: int = 100) -> list[tuple[str, float]]:
        """(stage, seconds per step) on one thread."""
        if self._bound.by_gradients is not None:
            raise ValueError(
                "This model's updates are not part of the recorded step, so it cannot be profiled; "
                "see model.explain_plan()."
            )
        self._renew()
        optimizer = self._model.optimizer
        self.plan.step = int(optimizer.iterations)
        rate = optimizer.rate_at(self.plan.step)
        found: list[tuple[str, float]] = self.plan.profile(steps, rate)
        optimizer.iterations = self.plan.step
        return found


@hinted
def profile(
    model: Any, x: Any, y: Any, batch_size: int = 32, steps: int = 100
) -> list[tuple[str, float]]:
    """The time of each stage of a compiled model's training step, on one thread.

    The steps are real: the model is trained by them.

    Args:
        model: A compiled model.
        x: Inputs, `(rows, …)`.
        y: Targets.
        batch_size: Rows in a batch.
        steps: Number of steps to average over; at most one pass over the data.

    Returns:
        Pairs (stage, seconds per step), in the order in which they run.

    Raises:
        ValueError: The model does not train natively.

    Example:

    >>> import densa, numpy as np
    >>> model = densa.Sequential([densa.Input((4,)), densa.layers.Dense(2)])
    >>> model.compile("sgd", "mse")
    >>> stages = densa.profile(model, np.ones((64, 4), "float32"), np.ones((64, 2), "float32"))
    >>> any(name.startswith("dense") for name, _ in stages)
    True
    """
    return StepRunner(model, x, y, batch_size).profile(steps)
