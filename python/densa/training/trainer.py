"""`Trainer`: fit, evaluate and predict, which `Model` inherits."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa._names import hinted, refuse_more
from densa._numbers import check_real_number, whole_number
from densa.callbacks import CallbackList
from densa.utils import tree

from .arrays import DataTypes, check_rows, class_weights, is_data, to_arrays
from .check import check_input_shapes, check_labels, classes_of
from .data import ArraySource, Source, make_source
from .feed import Feed
from .fit_arguments import check_endless, split_off, validation_epochs, validation_parts
from .fitting import Fitting, end_after_error
from .native import build
from .steps import Steps
from .turns import one_at_a_time


class Trainer(Steps):
    """What makes a model trainable; every method follows Keras 3."""

    # ---- data ------------------------------------------------------------------------------------

    def _source(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int | None = None,
        shuffle: bool | str = False,
        class_weight: Any = None,
        targets: bool = True,
    ) -> Source:
        source = make_source(
            x,
            y,
            sample_weight,
            batch_size=batch_size,
            shuffle=shuffle,
            class_weight=class_weight,
            types=DataTypes(self),
            names=self._names("input_names"),
            check=lambda arrays: check_input_shapes(self, arrays),
            classes=classes_of(self),
        )
        if targets and isinstance(source, ArraySource):
            check_labels(self, source.y, x=source.x)
        return source

    # ---- fit -------------------------------------------------------------------------------------

    @one_at_a_time("train")
    @hinted
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
    ) -> Any:
        """Trains the model.

        Args:
            x: Inputs: an array, Tensor, memmap or DataFrame `(rows, …)`, or a list or dict of
                them; or batches `(x, y)`: a generator, an iterable, a PyDataset. A generator
                that ends before the epochs do ends the training, with a warning.
            y: Targets, in the structure of the outputs; None where `x` yields batches.
            batch_size: Rows in a batch; 32 by default. The last batch may have fewer.
            epochs: Number of the epoch to stop before.
            verbose: 0 silent, 1 or `"auto"` a live line, 2 one line per epoch.
            callbacks: Callbacks.
            validation_split: Part of the rows, at their end, kept for validation.
            validation_data: `(x, y)` or `(x, y, sample_weight)`, or batches.
            shuffle: Whether each epoch has a new order; `"batch"` gives the batches a new order
                and keeps the rows inside of them (Keras 3 does the opposite). Streams have their
                own order: there False and True mean the same, and `"batch"` is refused.
            class_weight: Weight of each class by its index.
            sample_weight: Weight of each row.
            initial_epoch: Number of the first epoch, to go on where a training ended: above 0, with
                an optimizer that has `use_ema`, from the weights of its last step, whose place
                their averages have taken. From 0 on it begins with the weights as they are.
            steps_per_epoch: Batches in an epoch; by default one pass over the data. An epoch
                ends with the data, with a warning; the next one begins at its first batch.
            validation_steps: Batches in a validation, the same ones in every epoch where the
                data can begin again.
            validation_batch_size: By default `batch_size`.
            validation_freq: Epochs between validations, or a list of epochs, from 1.

        Returns:
            The `History`: `history.history["loss"]` has one value per epoch.

        Raises:
            ValueError: Shapes, lengths or arguments do not fit; says which. The model is as before.

        Example:

        >>> import densa, numpy as np
        >>> x = np.linspace(-1, 1, 64, dtype="float32")[:, None]
        >>> model = densa.Sequential([densa.Input((1,)), densa.layers.Dense(1)])
        >>> model.compile(densa.optimizers.SGD(0.5), "mse")
        >>> history = model.fit(x, 3 * x + 1, epochs=30, verbose=0)
        >>> history.history["loss"][-1] < 1e-3
        True
        """
        self._require_compiled("calling `fit()`")
        epochs = whole_number("epochs", epochs, least=0)
        initial_epoch = whole_number("initial_epoch", initial_epoch, least=0)
        if validation_batch_size is not None:
            validation_batch_size = whole_number("`validation_batch_size`", validation_batch_size)
        if validation_split is not None:
            check_real_number("validation_split", validation_split)
        x, y, sample_weight, validation_data = split_off(
            x, y, sample_weight, validation_split, validation_data, class_weight
        )
        if not (isinstance(shuffle, str) and shuffle == "batch") and not (
            isinstance(shuffle, bool | np.bool_ | int) and shuffle in (0, 1)
        ):
            raise ValueError(f'`shuffle` must be True, False or "batch"; received {shuffle!r}.')
        source = self._source(x, y, sample_weight, batch_size, shuffle, class_weight)
        if shuffle == "batch" and not hasattr(source, "shuffle"):
            raise ValueError(
                '`shuffle="batch"` needs arrays or a PyDataset, whose batches have numbers; '
                f"{type(x).__name__} gives them in its own order. Leave it out."
            )
        source.orders = self._order_generator
        feed = Feed(source, steps_per_epoch)
        validation = None
        if validation_data is not None:
            size = batch_size if validation_batch_size is None else validation_batch_size
            validation = Feed(
                self._source(*validation_parts(validation_data), batch_size=size),
                validation_steps,
            )
            check_endless(validation, "validation_steps")
        check_endless(feed, "steps_per_epoch")
        due = validation_epochs(validation_freq)
        callbacks = self._callback_list(
            callbacks,
            verbose,
            history=True,
            epochs=epochs,
            steps=feed.steps,
            batch_size=source.batch_size,
            samples=source.rows if feed.whole_passes else None,
            validates=validation is not None,
        )
        self.stop_training = False
        if callbacks.needs_weights and feed.has_more():
            build(self, feed.source.peek()[0])
        with self._as_compiled():
            return Fitting(self, feed, validation, due, callbacks).run(initial_epoch, epochs)

    def _callback_list(
        self, callbacks: Any, verbose: Any, history: bool = False, **params: Any
    ) -> CallbackList:
        if verbose == "auto" or verbose is True:
            verbose = 1
        if verbose not in (0, 1, 2):
            raise ValueError(f'`verbose` must be 0, 1, 2 or "auto"; received {verbose!r}.')
        params["verbose"] = int(verbose)
        if isinstance(callbacks, CallbackList):
            callbacks.set_params(params)
            return callbacks
        return CallbackList(
            callbacks, add_history=history, add_progbar=bool(verbose), model=self, **params
        )

    # ---- evaluate and predict --------------------------------------------------------------------

    @one_at_a_time("train")
    @hinted
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Loss and metrics on data that the model is not trained on.

        Args:
            x: See `fit`.
            y: See `fit`.
            batch_size: Rows in a batch; changes the speed and the last bits alone.
            verbose: See `fit`.
            sample_weight: Weight of each row.
            steps: Batches to look at; by default all.
            callbacks: Callbacks.
            return_dict: Whether to return a dictionary by name.

        Returns:
            A list of loss and metrics in the order of `metrics_names`, the loss alone where there
            are no metrics, or a dictionary.

        Raises:
            ValueError: Shapes or lengths do not fit, or the model is not compiled.
        """
        self._require_compiled("calling `evaluate()`")
        refuse_more(Trainer.evaluate, kwargs)
        feed = Feed(self._source(x, y, sample_weight, batch_size), steps)
        check_endless(feed, "steps")
        callbacks = self._callback_list(
            callbacks,
            verbose,
            steps=feed.steps,
            batch_size=feed.source.batch_size,
            samples=feed.source.rows if feed.whole_passes else None,
            epochs=1,
        )
        try:
            logs = self._evaluate(feed, callbacks)
        except BaseException:
            end_after_error(callbacks, {}, False)
            raise
        return logs if return_dict else self._in_order(logs)

    def _evaluate(self, feed: Feed, callbacks: CallbackList) -> dict[str, Any]:
        self.stop_evaluating = False
        callbacks.on_test_begin()
        self.reset_metrics()
        logs = dict(self._runner("test").run_epoch(feed, callbacks))
        callbacks.on_test_end(logs)
        return logs

    def _in_order(self, logs: dict[str, Any]) -> Any:
        names = [n for n in self.get_metrics_result() if n in logs]
        values = [logs[n] for n in names] + [v for k, v in logs.items() if k not in names]
        return values[0] if len(values) == 1 else values

    @one_at_a_time("predict")
    @hinted
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
        *,
        mc_samples: int | None = None,
    ) -> Any:
        """The outputs for inputs, as NumPy arrays.

        With `mc_samples`, dropout stays on and the outputs are drawn that many times: Monte Carlo
        dropout. What lies before the first dropout is computed once, and batch norm and all else
        stay as in inference.

        Args:
            x: See `fit`.
            batch_size: Rows in a batch; 32 by default. The outputs do not depend on it.
            verbose: See `fit`.
            steps: Batches to look at; by default all.
            callbacks: Callbacks; with `mc_samples` they see the part before the first dropout.
            mc_samples: How many times to draw, at least 1; None for one prediction without dropout.

        Returns:
            An array `(rows, …)`, or a list or dict of them. With `mc_samples` a pair of these:
            the mean of the samples, and their standard deviation.

        Raises:
            TypeError: `mc_samples` is no whole number.
            ValueError: The inputs do not fit the model, or there is no dropout to draw.

        Example:

        >>> import densa, numpy as np
        >>> net = [densa.Input((4,)), densa.layers.Dropout(0.5), densa.layers.Dense(2)]
        >>> model = densa.Sequential(net)
        >>> mean, std = model.predict(np.ones((3, 4), "float32"), verbose=0, mc_samples=100)
        >>> mean.shape, bool((std > 0).all())
        ((3, 2), True)
        """
        if mc_samples is not None:
            from .monte_carlo import predict_samples

            given = {"batch_size": batch_size, "steps": steps, "callbacks": callbacks}
            return predict_samples(self, x, mc_samples, verbose=verbose, **given)
        feed = Feed(self._source(x, batch_size=batch_size, targets=False), steps)
        check_endless(feed, "steps")
        callbacks = self._callback_list(
            callbacks,
            verbose,
            steps=feed.steps,
            batch_size=feed.source.batch_size,
            samples=feed.source.rows if feed.whole_passes else None,
            epochs=1,
        )
        self.stop_predicting = False
        callbacks.on_predict_begin()
        try:
            outputs = self._runner("predict").predict(feed, callbacks)
        except BaseException:
            end_after_error(callbacks, {}, False)
            raise
        callbacks.on_predict_end()
        return outputs

    @one_at_a_time("train")
    @hinted
    def diagnose(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        sample_weight: Any = None,
        steps: int = 20,
    ) -> list[Any]:
        """What is wrong with the model as it stands, its set-up, and the curves of its last `fit`.

        Gradients and units are looked at on some batches as a training would see them; nothing is
        trained. `densa.callbacks.Doctor` looks while a training runs, and sees more.

        Args:
            x: See `fit`.
            y: See `fit`.
            batch_size: Rows in a batch; 32 by default.
            sample_weight: Weight of each row.
            steps: Batches to look at, at most.

        Returns:
            A list of `densa.doctor.Finding`, each with `id`, `evidence`, `change` and `apply`.

        Raises:
            ValueError: The model is not compiled, or the data does not fit it.

        Example:

        >>> import densa, numpy as np
        >>> model = densa.Sequential([densa.Input((3,)), densa.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> x = 1000 * np.eye(3, dtype="float32")
        >>> [finding.id for finding in model.diagnose(x, x[:, :1] / 1000)]
        ['unscaled_inputs']
        """
        from densa.doctor.diagnosis import diagnose

        self._require_compiled("calling `diagnose()`")
        steps = whole_number("steps", steps, least=1)
        feed = Feed(self._source(x, y, sample_weight, batch_size), None)
        return diagnose(self, feed, steps)

    # ---- single batches --------------------------------------------------------------------------

    @one_at_a_time("train")
    @hinted
    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """One step of training on one batch.

        Args:
            x: Inputs of the batch.
            y: Targets.
            sample_weight: Weight of each row.
            class_weight: Weight of each class by its index.
            return_dict: Whether to return a dictionary by name.

        Returns:
            Loss and metrics of this batch alone, as `evaluate` returns them.
        """
        self._require_compiled("calling `train_on_batch()`")
        if class_weight is not None and sample_weight is not None:
            raise ValueError(
                "Arguments `sample_weight` and `class_weight` cannot be specified at the same "
                f"time. Received: sample_weight={sample_weight}, class_weight={class_weight}"
            )
        batch = self._batch(x, y, sample_weight, class_weight)
        self.reset_metrics()
        with self._as_compiled():
            logs = self._runner("train").run_batch(batch)
        return logs if return_dict else self._in_order(logs)

    @one_at_a_time("train")
    @hinted
    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """One step of evaluation on one batch; arguments and result as `train_on_batch`."""
        self._require_compiled("calling `test_on_batch()`")
        batch = self._batch(x, y, sample_weight)
        self.reset_metrics()
        logs = self._runner("test").run_batch(batch)
        return logs if return_dict else self._in_order(logs)

    @one_at_a_time("predict")
    @hinted
    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, as NumPy arrays."""
        batch = self._batch(x)
        rows = batch[0]
        count = next(leaf.shape[0] for leaf in tree.flatten(rows) if leaf is not None)
        source = ArraySource(rows, batch_size=count, types=DataTypes(self))
        return self._runner("predict").predict(Feed(source), CallbackList(model=self))

    def _batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None
    ) -> tuple[Any, Any, Any]:
        names = self._names("input_names")
        if not is_data(x):
            raise ValueError(f"`x` must hold arrays; received {type(x).__name__}.")
        x = to_arrays(x, "x", names)
        y = to_arrays(y, "y")
        sample_weight = to_arrays(sample_weight, "sample_weight")
        if class_weight is not None:
            sample_weight = class_weights(y, class_weight, classes_of(self))
        given = (("x", x), ("y", y), ("sample_weight", sample_weight))
        if check_rows(*given, names=names) == 0:
            raise ValueError("The batch has no rows.")
        check_input_shapes(self, x)
        check_labels(self, y, x=x)
        return DataTypes(self).cast(x, y, sample_weight)
