"""Doctor."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from densa._numbers import whole_number

from .callback import Callback

if TYPE_CHECKING:
    from densa.doctor import Finding


class Doctor(Callback):
    """Says what goes wrong in a training, by which numbers, and what to change.

    Now and then it looks at a step: norms of gradients, updates relative to weights, dead and
    saturated units, activations, clipping, numbers that are not finite. At the end it judges these,
    the learning curves and the set-up. The weights have the same bits as without it.

    Args:
        interval: Steps from one look to the next; it doubles after each 32 looks.
        verbose: 0 silent, 1 a table at the end, 2 also each finding in the epoch that shows it.

    `findings` is a list of `densa.doctor.Finding`; `health` a dictionary with `"step"`, `"rate"`,
    `"loss"`, `"gradient_norm"` (one number per look) and `"layers"`: by name, lists of
    `gradient_norm`, `weight_norm`, `update_ratio`, `mean`, `spread`, `silent`, `saturated`,
    `nonfinite`. With an optimizer that clips there is `"clipped"`: the share of the gradient's
    numbers for `clipvalue`, of the variables for `clipnorm`, 0 or 1 for `global_clipnorm`. Both are
    kept at the `History` that `fit` returns, too; `densa.viz.plot_health` draws them.

    Raises:
        ValueError: `interval` is below 1, or `verbose` none of 0, 1, 2.

    Example:

    >>> import densa
    >>> dense = densa.layers.Dense(8, "relu", bias_initializer=densa.initializers.Constant(-9.0))
    >>> model = densa.Sequential([densa.Input((2,)), dense, densa.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.linspace(-1, 1, 128, dtype="float32").reshape(64, 2)
    >>> doctor = densa.callbacks.Doctor(interval=1, verbose=0)
    >>> history = model.fit(x, x[:, :1], epochs=4, callbacks=[doctor], verbose=0)
    >>> "dead_units" in [finding.id for finding in doctor.findings]
    True
    """

    def __init__(self, interval: int = 50, verbose: int = 1) -> None:
        super().__init__()
        self.interval = whole_number("Doctor: `interval`", interval, least=1)
        if verbose not in (0, 1, 2):
            raise ValueError(f"Doctor: `verbose` must be 0, 1 or 2; received {verbose!r}.")
        self.verbose = int(verbose)
        self.findings: list[Finding] = []
        self.health: dict[str, Any] = {}
        self._probe: Any = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        from densa.training.probe import Probe

        self._probe = Probe(self.interval)
        self._loss: list[float] = []
        self._val_loss: list[float] = []
        self._said: set[str] = set()
        self._before = self.model.__dict__.get("_treated")

    def get_state(self) -> dict[str, Any]:
        """Curves, looks, what has been said, and the names that they are kept under."""
        if self._probe is None:
            return {}
        before = self._before
        return {
            "loss": list(self._loss),
            "val_loss": list(self._val_loss),
            "said": sorted(self._said),
            "before": None if before is None else [sorted(before[0]), before[1]],
            "probe": self._probe.get_state(),
            "names": self._names(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from what `get_state` gave, in a model whose layers may have other names."""
        if not state or self._probe is None:
            return
        names = self._names()
        if len(names) != len(state["names"]):
            raise ValueError(
                f"Doctor: the state is of a model with {len(state['names'])} layers and variables, "
                f"this one has {len(names)}; go on with a model made as before."
            )
        now = dict(zip(state["names"], names, strict=True))
        self._loss, self._val_loss = list(state["loss"]), list(state["val_loss"])
        self._said = set(state["said"])
        self._before = None
        if state["before"] is not None:
            frozen, rate = state["before"]
            self._before = (frozenset(now.get(path, path) for path in frozen), float(rate))
        self._probe.set_state(state["probe"], now)

    def _names(self) -> list[str]:
        model = self.model
        return [*(x.name for x in model._flatten_layers()), *(v.path for v in model.variables)]

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        self._loss.append(float(logs.get("loss", math.nan)))
        if "val_loss" in logs:
            self._val_loss.append(float(logs["val_loss"]))
        if self.verbose == 2 and not self._sweeps:
            for finding in self._examine():
                if finding.id not in self._said:
                    self._said.add(finding.id)
                    print(f"\nEpoch {epoch + 1}: Doctor: {finding}")

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        from densa.doctor import table

        model, sweeps = self.model, self._sweeps
        found = self._examine(whole=True)
        self.findings = [] if sweeps else found
        frozen = frozenset(v.path for v in model.variables if not v.trainable)
        rate = float(model.optimizer.rate_at(int(model.optimizer.iterations)))
        if not sweeps:
            model.__dict__["_treated"] = (frozen, rate)
        if getattr(model, "history", None) is not None:
            model.history.findings, model.history.health = self.findings, self.health
        if self.verbose and sweeps:
            print("doctor: a search for a rate is no training to judge")
        elif self.verbose:
            print(table(self.findings))
            if self._probe.failure:
                print(f"  no statistics of the steps: {self._probe.failure}")
        self._probe = None

    @property
    def _sweeps(self) -> bool:
        return bool(self.model.__dict__.get("_sweeps_rates"))

    def _examine(self, whole: bool = False) -> list[Finding]:
        # `whole`: all rows are looked through, which would cost too much after each epoch.
        from densa.doctor import Case, examine
        from densa.doctor.raw import all_rows, many_targets

        probe = self._probe
        size = int((self.params or {}).get("batch_size") or 0)
        source = probe.source
        targets = many_targets(source)
        case = Case(
            self.model,
            loss=self._loss,
            val_loss=self._val_loss,
            batch_size=size or probe.rows,
            streamed=not size,
            samples=probe.series,
            inputs=probe.inputs,
            rows=all_rows(source) if whole else [],
            kinds=probe.kinds,
            targets=probe.targets if targets is None else targets,
            before=self._before,
            heads=probe.heads,
            lost=probe.lost or [],
            non_finite=source.non_finite()
            if source is not None and source.met_non_finite
            else None,
        )
        self.health = case.health
        return examine(case)
