"""TensorBoard."""

from __future__ import annotations

import numbers
import os
import time
from collections.abc import Mapping
from types import NoneType
from typing import Any

import numpy as np

from densa._numbers import path_of, whole_number

from .callback import Callback
from .tensorboard_files import embedding_layers, weight_picture, write_embeddings


class TensorBoard(Callback):
    """Writes what TensorBoard shows; the files are written by TensorBoard's own writer.

    Loss and metrics of each epoch under `epoch_…`, of batches under `batch_…`, with the learning
    rate; in the folders `train` and `validation` of `log_dir`, so that curves lie over each other.
    Show them with `tensorboard --logdir logs`.

    Args:
        log_dir: The folder.
        histogram_freq: Epochs between histograms of the weights; 0 for none.
        write_graph: Whether to write the model's graph.
        write_images: Whether pictures of the weights come with their histograms.
        write_steps_per_second: Whether to write steps per second for each epoch.
        update_freq: `"epoch"`, `"batch"`, or a number of batches between numbers of batches.
        profile_batch: Must be 0: densa has no profiler for TensorBoard.
        embeddings_freq: Epochs between tables of the Embedding layers, which the projector shows;
            a table is written over the last one. 0 for none.
        embeddings_metadata: A file with a label for each row of an Embedding, in `log_dir`, or a
            dict of such by the layer's name. You write it; the projector reads it.
        write_gradients: densa's own: whether histograms of the gradients of the last step come
            with those of the weights. The optimizer then updates outside of the recorded step.

    Raises:
        ImportError: In `fit`: TensorBoard is missing; it comes with `densa[tensorboard]`.
        TypeError: A number is none.
        ValueError: A number is out of range, or `update_freq` another text. In `fit`: there is no
            Embedding for `embeddings_freq`, or `embeddings_metadata` names another layer.

    Example:

    >>> import densa
    >>> board = densa.callbacks.TensorBoard("logs", histogram_freq=1, write_gradients=True)
    >>> board.histogram_freq
    1
    """

    _ends_after_errors = True
    _state_names = ("_step", "_last_batch")

    _free_arguments = ("log_dir",)

    def __init__(
        self,
        log_dir: Any = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
        *,
        write_gradients: bool = False,
    ) -> None:
        super().__init__()
        self.histogram_freq = whole_number("TensorBoard: `histogram_freq`", histogram_freq, least=0)
        if isinstance(update_freq, str):
            if update_freq not in ("epoch", "batch"):
                raise ValueError(
                    "TensorBoard: `update_freq` must be 'epoch', 'batch' or a number of batches; "
                    f"received {update_freq!r}."
                )
        else:
            whole_number("TensorBoard: `update_freq`", update_freq)
        for name, wanted in (("write_gradients", write_gradients), ("write_images", write_images)):
            if wanted and not self.histogram_freq:
                raise ValueError(
                    f"TensorBoard: `{name}` needs a `histogram_freq` of at least 1; received 0."
                )
        off = isinstance(profile_batch, (numbers.Integral, NoneType)) and not profile_batch
        if not off:
            raise ValueError(
                "TensorBoard: `profile_batch` must be 0, as densa has no profiler whose traces "
                f"TensorBoard shows; received {profile_batch!r}."
            )
        self.embeddings_freq = whole_number(
            "TensorBoard: `embeddings_freq`", embeddings_freq, least=0
        )
        if embeddings_metadata is not None and not isinstance(
            embeddings_metadata, (str, os.PathLike, Mapping)
        ):
            raise TypeError(
                "TensorBoard: `embeddings_metadata` is the name of a file or a dict of such by "
                f"layer; received {embeddings_metadata!r}."
            )
        self.embeddings_metadata = embeddings_metadata
        self.write_images = write_images
        self.log_dir = path_of("TensorBoard: `log_dir`", log_dir)
        self.write_graph = write_graph
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = update_freq
        self.write_gradients = write_gradients
        self._wants_batches = update_freq != "epoch"
        self._every = update_freq if isinstance(update_freq, int) else 1
        self._writers: dict[str, Any] = {}
        self._step = 0  # batches so far
        self._last_batch = -1
        self._began = (0.0, 0)

    def set_model(self, model: Any) -> None:
        """Told once per call of `fit`, `evaluate` or `predict`, before anything has changed."""
        _import_writer()
        if self.embeddings_freq:
            embedding_layers(model, self.embeddings_metadata)
        super().set_model(model)

    # ---- hooks -----------------------------------------------------------------------------------

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._step = int(self.model.optimizer.iterations)
        if self.write_gradients:
            _innermost(self.model.optimizer).keep_gradients = True
        if self.write_graph and getattr(self.model, "built", False):
            self._writer("train").add_graph(_graph(self.model))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._last_batch = -1
        self._began = (time.perf_counter(), int(self.model.optimizer.iterations))

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not self._wants_batches:
            return
        before = self._step
        self._step += batch - self._last_batch
        self._last_batch = batch
        if self._step // self._every > before // self._every:
            for name, value in (logs or {}).items():
                self._scalar("train", f"batch_{name}", value, self._step)
            rate = self.model.optimizer.learning_rate
            self._scalar("train", "batch_learning_rate", float(rate), self._step)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        optimizer = self.model.optimizer
        for name, value in (logs or {}).items():
            where = "validation" if name.startswith("val_") else "train"
            self._scalar(where, f"epoch_{name.removeprefix('val_')}", value, epoch)
        self._scalar("train", "epoch_learning_rate", float(optimizer.learning_rate), epoch)
        if self.write_steps_per_second:
            start, steps = self._began
            passed = max(time.perf_counter() - start, 1e-9)
            rate = (int(optimizer.iterations) - steps) / passed
            self._scalar("train", "epoch_steps_per_second", rate, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._histograms(epoch)
        if self.embeddings_freq and epoch % self.embeddings_freq == 0:
            found = embedding_layers(self.model, self.embeddings_metadata)
            write_embeddings(os.path.join(self.log_dir, "train"), found)
        for writer in self._writers.values():
            writer.flush()

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        if not self.model._fitting and self.model.optimizer is not None:
            for name, value in (logs or {}).items():
                steps = int(self.model.optimizer.iterations)
                self._scalar("validation", f"evaluation_{name}_vs_iterations", value, steps)
            self._close()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.write_gradients:
            optimizer = _innermost(self.model.optimizer)
            optimizer.keep_gradients, optimizer.last_gradients = False, []
        self._close()

    # ---- writing ---------------------------------------------------------------------------------

    def _close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _writer(self, name: str) -> Any:
        writer = self._writers.get(name)
        if writer is None:
            writer = self._writers[name] = _Writer(os.path.join(self.log_dir, name))
        return writer

    def _scalar(self, where: str, tag: str, value: Any, step: int) -> None:
        if np.ndim(value) == 0:
            self._writer(where).add(step, tag=tag, simple_value=float(value))

    def _histograms(self, epoch: int) -> None:
        writer = self._writer("train")
        for variable in self.model.weights:
            writer.add(epoch, tag=variable.path, histo=_histogram(variable.numpy()))
            picture = weight_picture(variable.numpy()) if self.write_images else None
            if picture is not None:
                writer.add_picture(epoch, f"{variable.path}/image", *picture)
        if self.write_gradients:
            for variable, gradient in _innermost(self.model.optimizer).last_gradients:
                histogram = _histogram(np.asarray(gradient))
                writer.add(epoch, tag=f"{variable.path}/gradient", histo=histogram)


class _Writer:
    """Events of one run, through TensorBoard's writer."""

    def __init__(self, folder: str) -> None:
        self._file = _import_writer()(folder)

    def add(self, step: int, **value: Any) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2

        summary = summary_pb2.Summary(value=[summary_pb2.Summary.Value(**value)])
        event = event_pb2.Event(wall_time=time.time(), step=step, summary=summary)
        self._file.add_event(event)

    def add_picture(self, step: int, tag: str, height: int, width: int, png: bytes) -> None:
        from tensorboard.compat.proto import summary_pb2

        image = summary_pb2.Summary.Image(
            height=height, width=width, colorspace=1, encoded_image_string=png
        )
        self.add(step, tag=tag, image=image)

    def add_graph(self, graph: Any) -> None:
        from tensorboard.compat.proto import event_pb2

        event = event_pb2.Event(wall_time=time.time(), graph_def=graph.SerializeToString())
        self._file.add_event(event)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _import_writer() -> Any:
    try:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError as error:
        raise ImportError(
            f"The TensorBoard callback needs TensorBoard ({error}); install it with: "
            'pip install "densa[tensorboard]".'
        ) from error
    return EventFileWriter


def _innermost(optimizer: Any) -> Any:
    return getattr(optimizer, "inner_optimizer", optimizer)


def _histogram(values: Any) -> Any:
    from tensorboard.compat.proto import summary_pb2

    values = np.asarray(values, np.float64).reshape(-1)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return summary_pb2.HistogramProto()
    counts, edges = np.histogram(values, bins=30)
    return summary_pb2.HistogramProto(
        min=values.min(),
        max=values.max(),
        num=values.size,
        sum=values.sum(),
        sum_squares=np.square(values).sum(),
        bucket_limit=edges[1:].tolist(),
        bucket=counts.tolist(),
    )


def _graph(model: Any) -> Any:
    """The layers as nodes and what flows between them as edges."""
    from tensorboard.compat.proto import graph_pb2

    inputs: dict[str, list[str]] = {}
    graph = getattr(model, "_graph", None)
    operations = model.operations if graph is not None else model.layers
    names = {id(operation): operation.name for operation in operations}
    for node in graph.nodes if graph is not None else ():
        target = inputs.setdefault(node.operation.name, [])
        sources = (names.get(id(x._keras_history[0])) for x in node.inputs)
        target.extend(name for name in sources if name is not None and name not in target)
    made = graph_pb2.GraphDef()
    for operation in operations:
        kind = getattr(operation, "op_name", type(operation).__name__)
        made.node.add(name=operation.name, op=kind, input=inputs.get(operation.name, []))
    return made
