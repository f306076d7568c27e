"""LRFinder."""

from __future__ import annotations

import math
import sys
import warnings
from typing import Any

import numpy as np

from densa import _core
from densa._numbers import check_real_number, whole_number

from .callback import Callback

_WIDE = 1e3  # a search over fewer decades may well begin near the best rate


class LRFinder(Callback):
    """Looks for a learning rate: trains for a while at rates that grow, then undoes it all.

    Rate i of n is `min_lr·(max_lr / min_lr)^(i / (n - 1))`. The loss of each batch goes into a
    running mean, corrected for its start; the first few means count for nothing. The search ends
    after `num_steps` batches, or where the mean is above `diverged` times the smallest one. At the
    end of `fit` weights, optimizer and random state are, bit for bit, what they were before,
    whatever other callbacks have done to them. A schedule of the optimizer's rate rests meanwhile.
    A `fit` that ends too early for `max_lr` warns, and so does a search over three decades or more
    whose suggestion lies below `min_lr`: there the loss never fell.

    `rates` and `losses` hold the curve, `suggestion` a rate a bit below the one at which the loss
    shoots up: `below` times the one of the smallest mean; None where there is none.

    Args:
        min_lr: First rate.
        max_lr: Last rate.
        num_steps: Batches in all; `fit` needs epochs enough for them.
        smoothing: Part of the running mean that is kept at each batch, 0 to 1.
        diverged: Times the smallest mean at which the search ends, above 1.
        below: Factor from the rate of the smallest mean to the one that is suggested.

    Raises:
        TypeError: A number is none.
        ValueError: The rates do not grow, or a number is out of range.

    Example:

    >>> import densa
    >>> model = densa.Sequential([densa.Input((1,)), densa.layers.Dense(1)])
    >>> model.compile(densa.optimizers.SGD(0.01), "mse")
    >>> x = np.linspace(-1, 1, 640, dtype="float32")[:, None]
    >>> finder = densa.callbacks.LRFinder(1e-4, 100.0, num_steps=60)
    >>> history = model.fit(x, 3 * x, epochs=3, callbacks=[finder], verbose=0)
    >>> 1e-3 < finder.suggestion < 2.0, float(model.optimizer.learning_rate)
    (True, 0.01)
    """

    _state_names = ()

    _ends_after_errors = True

    _encloses = True

    def __init__(
        self,
        min_lr: float = 1e-6,
        max_lr: float = 10.0,
        num_steps: int = 300,
        smoothing: float = 0.9,
        diverged: float = 4.0,
        below: float = 0.1,
    ) -> None:
        for name, value in (("min_lr", min_lr), ("max_lr", max_lr), ("below", below)):
            check_real_number(f"LRFinder: `{name}`", value)
            if not 0 < value < math.inf:
                raise ValueError(f"LRFinder: `{name}` must be above 0; received {value!r}.")
        if not min_lr < max_lr:
            raise ValueError(
                f"LRFinder: `min_lr` must be below `max_lr`; received {min_lr!r} and {max_lr!r}."
            )
        check_real_number("LRFinder: `smoothing`", smoothing, least=0)
        check_real_number("LRFinder: `diverged`", diverged)
        if smoothing >= 1:
            raise ValueError(f"LRFinder: `smoothing` must be below 1; received {smoothing!r}.")
        if diverged <= 1:
            raise ValueError(f"LRFinder: `diverged` must be above 1; received {diverged!r}.")
        super().__init__()
        self.min_lr = float(min_lr)
        self.max_lr = float(max_lr)
        self.num_steps = whole_number("LRFinder: `num_steps`", num_steps, least=2)
        self.smoothing = smoothing
        self.diverged = diverged
        self.below = below
        self.rates: list[float] = []
        self.losses: list[float] = []  # the running mean
        self._start: Any = None
        self._put_rate_back: Any = None
        self._mean = 0.0
        self._done = False
        self._totals: tuple[float, float] = (0.0, 0.0)

    @property
    def suggestion(self) -> float | None:
        """The rate to train with; None before a search, or where no loss was finite."""
        pairs = list(zip(self.losses, self.rates, strict=True))[self._early :]
        finite = [(loss, rate) for loss, rate in pairs if math.isfinite(loss)]
        return min(finite)[1] * self.below if finite else None

    @property
    def _early(self) -> int:
        # So many means are of too few batches to count.
        return min(10, self.num_steps // 10)

    def plot(self, ax: Any = None) -> Any:
        """Draws loss over rate, and the suggestion: `densa.viz.plot_lr_finder`.

        Args:
            ax: Axes of matplotlib; new ones by default.

        Returns:
            The axes.

        Raises:
            ValueError: There has been no search yet.
            ImportError: matplotlib is missing.
        """
        from densa.viz import plot_lr_finder

        figure = plot_lr_finder(self, ax=ax)
        return figure.axes[0] if ax is None else ax

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        from densa.saving.training_state import get_training_state

        optimizer = self.model.optimizer
        if not getattr(self.model, "built", False):
            raise ValueError(
                "LRFinder puts the weights back as they were, so there must be some: build the "
                "model first (an Input layer, `build()` or a call)."
            )
        optimizer.build(self.model.trainable_variables)
        self._start = get_training_state(self.model)
        self._put_rate_back = optimizer.hold_rate(self.min_lr)
        self.model.__dict__["_sweeps_rates"] = True  # no training, for callbacks that judge one
        self.rates, self.losses = [], []
        self._mean, self._totals, self._done = 0.0, (0.0, 0), False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._totals = (0.0, 0)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        part = min(len(self.rates) / (self.num_steps - 1), 1.0)
        self.model.optimizer.learning_rate = self.min_lr * (self.max_lr / self.min_lr) ** part

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        tracker = self.model._loss_tracker
        total, count = float(tracker.total.numpy()), float(tracker.count.numpy())
        before, seen = self._totals
        self._totals = (total, count)
        loss = (total - before) / (count - seen) if count > seen else math.nan
        k = self.smoothing
        self._mean = k * self._mean + (1 - k) * loss
        self.rates.append(float(self.model.optimizer.learning_rate))
        self.losses.append(self._mean / (1 - k ** (len(self.losses) + 1)))
        last, counted = self.losses[-1], self.losses[self._early :]
        diverged = bool(counted) and last > self.diverged * min(counted) > 0
        if len(self.rates) >= self.num_steps or not math.isfinite(last) or diverged:
            self._done = self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        from densa.saving.training_state import set_training_state

        if self.rates and not self._done and sys.exc_info()[0] is None:  # not behind an error
            self._warn_of_the_rest()
        start, self._start = self._start, None
        self.model.__dict__.pop("_sweeps_rates", None)
        if start is not None:
            self._put_rate_back()
            with _core.no_grad():
                _fit_metrics(start, self.model)
                set_training_state(self.model, start)
        if self._done:
            self._warn_of_noise()

    def _warn_of_noise(self) -> None:
        found = self.suggestion
        wide = self.rates[-1] >= _WIDE * self.min_lr
        if found is not None and found < self.min_lr and wide:
            warnings.warn(
                f"LRFinder: the loss was lowest at the rate {found / self.below:.3g}, where the "
                f"search began, and did not fall from there: the suggestion {found:.3g} means "
                "little. Begin with fresh weights, a smaller `min_lr`, or larger batches.",
                UserWarning,
                stacklevel=2,
            )

    def _warn_of_the_rest(self) -> None:
        done, steps = len(self.rates), (self.params or {}).get("steps")
        needed = f"epochs={-(-self.num_steps // steps)}" if steps else "more epochs"
        warnings.warn(
            f"LRFinder: fit has ended after {done} of num_steps={self.num_steps} batches, at the "
            f"rate {self.rates[-1]:.3g} of max_lr={self.max_lr:g}; the curve and the suggestion "
            f"know nothing of larger ones. Give fit {needed} (and no callback that ends it "
            f"earlier), or LRFinder a num_steps of {max(done, 2)}.",
            UserWarning,
            stacklevel=2,
        )


def _fit_metrics(state: dict[str, Any], model: Any) -> None:
    # Metrics that were made by the first batch begin at 0.
    variables = [variable for metric in model.metrics for variable in metric.variables]
    if len(state["metrics"]) != len(variables):
        state["metrics"] = [np.zeros(tuple(v.shape), str(v.dtype)) for v in variables]
