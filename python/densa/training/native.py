"""The native runner: steps recorded once as a Program and run by a Plan.

The model's own step (`Steps._forward`) is recorded with an unknown number of rows; the plan then
gathers batches from the user's arrays, runs forward, loss, metrics, backward and update without
Python, and comes back for progress, callbacks and Ctrl-C.
"""

from __future__ import annotations

from sys import getrefcount
from typing import Any

import numpy as np

from densa import _core, ops
from densa.callbacks import CallbackList
from densa.callbacks.logs import LazyLogs
from densa.random import Uses
from densa.utils import tree

from . import constraining
from .arrays import DataTypes, array_dtype, warn_non_finite
from .check import check_devices, check_labels, shapes_for_labels
from .data import ArraySource, Batch, batch_rows
from .eager import EagerRunner, Logs, groups, report_of, to_numbers
from .feed import Feed
from .gradients import Gradients, GradientSteps
from .probe import Probe, Recorded
from .recording import has_fixed_batch, kinds, rows_of, signature, symbols
from .settings import Watched

_PROGRESS_SECONDS = 0.05
_KEPT_PLANS = 8


def make_runner(model: Any, kind: str) -> NativeRunner | None:
    """The native runner of `"train"`, `"test"` or `"predict"` steps; None: nothing is trainable."""
    if kind == "train" and getattr(model, "built", False) and not model.trainable_variables:
        return None
    return NativeRunner(model, kind)


class _Holder:
    settle: Any


def _references() -> int:
    # The loops below hold their logs in a local name and, by a method, in an attribute; what Python
    # counts for that differs from version to version.
    logs = LazyLogs(dict)
    _Holder.settle = logs.settle
    return getrefcount(logs)


_NOT_KEPT = _references()  # more: a hook has kept the logs


class _Bound:
    """One plan, and how arrays become its inputs and results become outputs."""

    def __init__(self, plan: Any, struct: Any, leaves: list[Any]) -> None:
        self.plan = plan
        self.struct = struct  # of the outputs; but for predict only where labels need their shapes
        self.leaves = leaves  # symbolic outputs, predict only
        self.busy = False  # a hook of its run may train, test or predict: then by another plan
        self.by_gradients: GradientSteps | None = None  # where the plan does not update
        self.draws: dict[Any, int] = {}  # generators, and how often a step uses each
        self.alive: Any = None  # what the key's addresses belong to
        self.source: Any = None  # of the last epoch: a GPU keeps its rows
        self.constraining: Any = None  # what comes behind each step; None without constraints
        self.span: Any = None  # what the plan goes through: arrays, order, end, batch
        self.kinds: Any = None  # of the arrays, without rows
        self.recorded: Recorded | None = None  # what a probe runs

    def begin(
        self, arrays: Any, order: Any, first: int, last: int, batch: int, **kwargs: Any
    ) -> None:
        """Points the plan at rows `first` to `last` of the arrays."""
        self.plan.begin(arrays, order, first, last, batch, **kwargs)
        self.span = (arrays, order, last, batch)


class NativeRunner:
    """Runs the steps of one kind through recorded plans.

    Args:
        model: The model.
        kind: `"train"`, `"test"` or `"predict"`.
    """

    def __init__(self, model: Any, kind: str) -> None:
        self.model = model
        self.kind = kind
        self._plans: dict[Any, _Bound | None] = {}
        self._eager = EagerRunner(model, kind)
        self._watched = Watched(model)
        self._gradients: Gradients | None = None
        self.why_eager: str | None = None  # the last step that could not be recorded, and why
        self._look = True  # for changed settings, before the next batch
        self._steps = 0  # of evaluation or prediction so far
        self._probe: Probe | None = None  # of the running epoch

    # ---- recording -------------------------------------------------------------------------------

    def _bound(self, parts: Batch, rows: int) -> _Bound | None:
        """The plan for arrays of these kinds and at most `rows` rows; None: run eagerly."""
        if self._look:
            build(self.model, parts[0])
            self._watched.look()
            self._look = False
        depth = 0
        while True:
            key = (depth, *self._key(parts))
            found = self._plans.get(key, False)
            if not (isinstance(found, _Bound) and found.busy):
                break
            depth += 1
        if isinstance(found, _Bound) and found.plan.capacity < rows:
            found = False
        if found is False:
            recorded = self._record(parts, rows)
            self._watched.look_again()
            if recorded is not None:
                recorded.alive = self._watched.alive
            self._plans.pop(key, None)
            if len(self._plans) >= _KEPT_PLANS:
                self._plans.pop(next(iter(self._plans)))
            found = self._plans[(depth, *self._key(parts))] = recorded
        return found  # type: ignore[return-value]

    def _key(self, parts: Batch) -> Any:
        return (
            self._watched.key,
            _core.has_backend() and _core.matmul_precision(),
            self._settings(),
            *(
                None if part is None else signature(part)
                for part in (parts if self.kind != "predict" else parts[:1])
            ),
        )

    def _settings(self) -> Any:
        # What a plan has settled and a user may change afterwards: the optimizer's numbers and
        # which variables are trained.
        if self.kind != "train":
            return None
        optimizer, variables = self.model.optimizer, self.model.trainable_variables
        fused = None
        if optimizer.can_fuse(variables):
            hyper = tuple(optimizer.hyper().items())
            limits = constraining.settings(variables)
            fused = (hyper, optimizer.clipnorm, optimizer.global_clipnorm, limits)
        return fused, optimizer.loss_scale_factor, tuple(id(v) for v in variables)

    def _record(self, parts: Batch, rows: int) -> _Bound | None:
        model = self.model
        build(model, parts[0])
        optimizer = None
        if self.kind == "train":
            if not model.trainable_variables:
                return None
            optimizer = self._update()
        try:
            with Uses() as uses:
                made = self._program(parts)
            if uses.several:
                with Uses(uses) as uses:
                    made = self._program(parts)
            if made is None:
                return None
            program, struct, leaves = made
            draws = uses.counts
            names = [f"out{i}" for i in range(len(leaves))]
            # The gradient may need the number of rows where the step itself does not.
            try:
                plan = _core.Plan(program, rows, optimizer=optimizer, collect=names)
            except ValueError:
                check_devices(model)  # it knows paths, and what to do
                raise
        except _core.NeedsRows as error:
            self.why_eager = str(error)
            return None
        except ValueError as error:
            if has_fixed_batch(model):  # ops may count on its size
                self.why_eager = str(error)
                return None
            raise
        bound = _Bound(plan, struct, leaves)
        bound.kinds = kinds(parts)
        bound.draws = draws
        if optimizer is not None and "gradients" in optimizer:
            assert self._gradients is not None
            bound.by_gradients = GradientSteps(model, plan, self._gradients)
        elif optimizer is not None and (
            limited := constraining.constrained(model.trainable_variables)
        ):
            try:
                bound.constraining = constraining.Constraining(limited)
            except _core.SymbolicError as error:  # one that reads numbers
                self.why_eager = str(error)
                return None
        return bound

    def _update(self) -> dict[str, Any]:
        # How a plan is to update the variables, or where it is to leave their gradients.
        optimizer, variables = self.model.optimizer, self.model.trainable_variables
        spec = optimizer.fused_plan(variables)
        if spec is None:
            optimizer.build(variables)
            for variable in variables:
                optimizer._place(variable)  # raises where it was built for others
            if self._gradients is None or not self._gradients.fits(variables):
                self._gradients = Gradients(variables)
            return self._gradients.spec()
        made = {
            "kind": spec["kind"],
            "hyper": spec["hyper"],
            "targets": spec["targets"],
            "clipnorm": spec["clip_norm"] or None,
            "global_clipnorm": spec["global_clip_norm"] or None,
            "loss_scale_factor": spec["loss_scale_factor"],
        }
        if "loss_scale" in spec:
            made["loss_scale"] = spec["loss_scale"]
        return made

    def _program(self, parts: Batch) -> tuple[Any, Any, list[Any]] | None:
        # The recorded step with the outputs of a prediction; None where it must run eagerly.
        model = self.model
        program = _core.Program()
        with program, _core.no_grad():
            types = DataTypes(model)
            x, y, sample_weight = symbols(program, parts, types, self.kind == "predict")
            if self.kind == "predict":
                struct = model(x, training=False)
                leaves = tree.flatten(struct)
                if not all(leaf.shape and leaf.shape[0] is None for leaf in leaves):
                    return None
                for i, leaf in enumerate(leaves):
                    program.output(f"out{i}", leaf)
                return program, struct, leaves
            loss, y_pred, results = model._forward(
                x, y, sample_weight, training=self.kind == "train"
            )
            if results is not None:  # an overridden compute_metrics returns its own logs
                return None
            if self.kind == "train":
                loss = model.optimizer.scale_loss(loss)
            program.output("loss", loss)
            return program, shapes_for_labels(model, y_pred), []

    # ---- running ---------------------------------------------------------------------------------

    def run_epoch(self, feed: Feed, callbacks: CallbackList) -> Logs:
        """All steps of an epoch."""
        outer, self._probe = self._probe, callbacks.probe if self.kind == "train" else None
        try:
            return self._run_epoch(feed, callbacks)
        finally:
            self._probe = outer

    def _run_epoch(self, feed: Feed, callbacks: CallbackList) -> Logs:
        source = feed.source
        self._look = True
        if not (isinstance(source, ArraySource) and feed.whole_passes):
            return self._run_stream(feed, callbacks)
        parts = (source.x, source.y, source.sample_weight)
        bound = self._bound(parts, _largest(source))
        if bound is None:
            return self._eager.run_epoch(feed, callbacks)
        if bound.struct is not None:
            check_labels(self.model, source.y, bound.struct, x=source.x)
        bound.busy = True
        try:
            return self._run_arrays(bound, feed, callbacks)
        finally:
            bound.busy = False

    def _run_arrays(self, bound: _Bound, feed: Feed, callbacks: CallbackList) -> Logs:
        model, kind, plan = self.model, self.kind, bound.plan
        source: Any = feed.source
        at = feed.begin_epoch()
        batch = _largest(source)
        # The arrays stay referenced by the plan while it runs.
        bound.begin(
            rows_of((source.x, source.y, source.sample_weight)),
            source.order(),
            min(source.take_skip() * batch, source.rows),
            source.rows,
            batch,
            unchanged=bound.source is source,
        )
        bound.source = source
        steps = source.steps
        rates = self._rates(bound, max(steps - at, 0))
        stopped = kind == "train" and at > 0 and model.stop_training  # before it was interrupted

        def read() -> Logs:
            return to_numbers({**model.get_metrics_result(), **report_of(model, kind)})

        every = callbacks.wants_every_batch(kind)
        group = model.steps_per_execution
        begin = getattr(callbacks, f"on_{kind}_batch_begin")
        end = getattr(callbacks, f"on_{kind}_batch_end")
        while not (plan.done or stopped):
            if every:
                begin(at)
                now = self._rates(bound, min(group, steps - at))
                if isinstance(now, list):
                    # The plan counts rates from begin() on, so those of a schedule go one by one.
                    for rate in now[: steps - at]:
                        at += self._advance(bound, 1, 0.0, rate)
                else:
                    at += self._advance(bound, group, 0.0, now)
                feed.at(at)
                logs = LazyLogs(read)
                model._pending_logs = logs.settle
                end(at - 1, logs)
                if getrefcount(logs) > _NOT_KEPT:
                    logs.settle()
            else:
                # Rates are counted from begin() on, so the list of the epoch serves every call.
                at += self._advance(bound, steps, _PROGRESS_SECONDS, rates)
                callbacks.progress(kind, at - 1, LazyLogs(read))
            if kind == "train" and model.stop_training:
                break
        model._pending_logs = None
        self._say_non_finite(plan, source)
        return read()

    def _run_stream(self, feed: Feed, callbacks: CallbackList) -> Logs:
        model, kind = self.model, self.kind
        begin = getattr(callbacks, f"on_{kind}_batch_begin")
        end = getattr(callbacks, f"on_{kind}_batch_end")
        step = feed.first
        logs: Any = dict(feed.logs) if step else {}
        if step and kind == "train" and model.stop_training:
            return dict(logs)

        def read() -> Logs:
            return to_numbers({**model.get_metrics_result(), **report_of(model, kind)})

        for group in groups(feed.epoch(), model.steps_per_execution):
            begin(step)
            for batch in group:
                check_labels(model, batch[1], x=batch[0])
                done = self._one(batch)
            step += len(group)
            if done is None:
                logs = LazyLogs(read)
                model._pending_logs = logs.settle
                end(step - 1, logs)
                if getrefcount(logs) > _NOT_KEPT:
                    logs.settle()
            else:
                logs, model._pending_logs = done, None
                end(step - 1, logs)
            if kind == "train" and model.stop_training:
                break
        model._pending_logs = None
        return read() if isinstance(logs, LazyLogs) else self._eager.at_the_end(logs)

    def run_batch(self, batch: Batch) -> Logs:
        """One step; its logs."""
        self._look = True
        self.model._settle_logs()
        return self._one(batch) or to_numbers(self.model.get_metrics_result())

    def _one(self, batch: Batch) -> Logs | None:
        # None: done natively, the logs are in the metrics.
        rows = batch_rows(batch)
        bound = self._bound(batch, rows)
        if bound is None:
            return self._eager.run_probed(batch, self._probe)
        if bound.struct is not None:
            check_labels(self.model, batch[1], bound.struct, x=batch[0])
        bound.begin(rows_of(batch), None, 0, rows, rows)
        self._advance(bound, 1, 0.0, self._rates(bound, 1))
        return None

    def predict(self, feed: Feed, callbacks: CallbackList) -> Any:
        """The outputs of all batches joined."""
        source = feed.source
        self._look = True
        if not (isinstance(source, ArraySource) and feed.whole_passes and not source.shuffle):
            return self._eager.predict(feed, callbacks)
        bound = self._bound((source.x, None, None), _largest(source))
        if bound is None:
            return self._eager.predict(feed, callbacks)
        bound.busy = True
        try:
            return self._predict_arrays(bound, source, callbacks)
        finally:
            bound.busy = False

    def _predict_arrays(self, bound: _Bound, source: ArraySource, callbacks: CallbackList) -> Any:
        plan, model = bound.plan, self.model
        # Plans widen what has 16 bits.
        results = [
            np.empty(
                (source.rows, *leaf.shape[1:]),
                "float32" if leaf.dtype in ("float16", "bfloat16") else leaf.dtype,
            )
            for leaf in bound.leaves
        ]
        batch = _largest(source)
        plan.begin(rows_of((source.x, None, None)), None, 0, source.rows, batch, results)
        every, at = callbacks.wants_every_batch("predict"), 0
        while not plan.done:
            if every:
                callbacks.on_predict_batch_begin(at)
                first = plan.position
                at += self._advance(bound, model.steps_per_execution, 0.0, 0.0)
                part = [result[first : plan.position] for result in results]
                callbacks.on_predict_batch_end(
                    at - 1, {"outputs": tree.pack_like(bound.struct, part)}
                )
            else:
                at += self._advance(bound, source.steps or 0, _PROGRESS_SECONDS, 0.0)
                callbacks.progress("predict", at - 1, None)
            if model.stop_predicting:
                results = [result[: plan.position] for result in results]
                break
        self._say_non_finite(plan, source)
        results = [
            result.astype(np.float16) if leaf.dtype == "float16" else result
            for result, leaf in zip(results, bound.leaves, strict=True)
        ]
        return tree.pack_like(bound.struct, results)

    def _rates(self, bound: _Bound, steps: int) -> Any:
        if self.kind != "train" or bound.by_gradients is not None:
            return 0.0
        return self.model.optimizer.rates(steps)

    def _advance(self, bound: _Bound, steps: int, seconds: float, rates: Any) -> int:
        probe = self._probe
        if probe is None:
            return self._run(bound, steps, seconds, rates)
        done = 0
        while done < steps and not bound.plan.done:
            if probe.wait > 0:
                count = self._run(bound, min(steps - done, probe.wait), seconds, rates)
                probe.wait -= count
            else:
                with probe.looking(self._recorded(bound, probe), *self._next(bound)):
                    count = self._run(bound, 1, 0.0, rates)
            done += count
            if seconds > 0:
                break
        return done

    def _recorded(self, bound: _Bound, probe: Probe) -> Recorded | None:
        if bound.recorded is None:
            bound.recorded = probe.record(self.model, bound.kinds, bound.plan.capacity)
        return bound.recorded

    def _next(self, bound: _Bound) -> tuple[Any, Any, int, int]:
        arrays, order, last, batch = bound.span
        first = bound.plan.position
        return arrays, order, first, min(batch, last - first)

    def _run(self, bound: _Bound, steps: int, seconds: float, rates: Any) -> int:
        plan, model = bound.plan, self.model
        if self.kind != "train":
            # Dropout that is on outside of training gets another mask in every step.
            plan.step = self._steps
            done = int(plan.run(steps, seconds, rates))
            self._steps += done
            return done
        # A new optimizer counts from 0, the model's random draws go on.
        try:
            if bound.by_gradients is not None:
                return bound.by_gradients.run(steps, seconds)
            if bound.constraining is not None:
                return int(bound.constraining.run(model, plan, steps, seconds, rates))
            return int(
                plan.run(steps, seconds, rates, model.optimizer._iterations, model._steps_trained)
            )
        finally:
            if bound.draws or model._steps_trained is not None:
                model._steps_trained = plan.draw
                for generator, uses in bound.draws.items():
                    generator.count = max(generator.count, plan.draw * uses)

    def _say_non_finite(self, plan: Any, source: ArraySource) -> None:
        bad = plan.nonfinite
        if bad is not None and source._unchecked:
            source.met_non_finite = True
            warn_non_finite(source.names[int(bad[0][1:])], bad[1])
        source._unchecked = False


def _largest(source: ArraySource) -> int:
    return min(int(source.batch_size or 1), int(source.rows or 1))


def build(model: Any, x: Any) -> None:
    """Make a model's variables, if it has none yet, by a call on the first row of a batch."""
    # Outside of a recording: they are values, not ops.
    if getattr(model, "built", False):
        return
    first = tree.map_structure(
        lambda a: None if a is None else model._placed(np.ascontiguousarray(a[:1])), x
    )
    with _core.no_grad():
        model(_floats(first, array_dtype(model)), training=False)


def _floats(struct: Any, dtype: str) -> Any:
    return tree.map_structure(
        lambda t: ops.cast(t, dtype) if t is not None and "float" in str(t.dtype) else t, struct
    )


def explain(runner: Any) -> str:
    """What a runner's plans do, as text."""
    if not isinstance(runner, NativeRunner):
        return (
            "off the fast path: steps run op by op (run_eagerly, an overridden step, or nothing "
            "to train)"
        )
    bounds = [bound for bound in runner._plans.values() if bound is not None]
    texts = [str(p) for b in bounds for p in (b.plan, b.constraining) if p is not None]
    if any(bound.by_gradients for bound in bounds):
        texts.append(
            "the plan gives gradients, the optimizer updates behind each step: its fused step does "
            "not do what it is asked to do (averages, accumulation, own formulas, …)"
        )
    if any(bound is None for bound in runner._plans.values()):
        why = f": {runner.why_eager}" if runner.why_eager else ""
        texts.append(f"some batches run op by op: the step could not be recorded{why}")
    return (
        "\n".join(texts) if texts else "nothing recorded yet: call fit, evaluate or predict first"
    )
