"""The command `densa`: show the configuration, train on a data set, predict with a saved model."""

from __future__ import annotations

import argparse
import os
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import densa
from densa.capi import cmake_folder, pkgconfig_folder
from densa.saving.file_format import is_predictor, write_beside

__all__ = ["main"]


@dataclass(frozen=True)
class Task:
    """A data set that `densa train` knows, with what suits it."""

    scale: float
    epochs: int
    batch_size: int


TASKS = {
    "digits": Task(scale=1 / 16, epochs=20, batch_size=32),
    "fashion-mnist": Task(scale=1 / 255, epochs=5, batch_size=32),
}
LEARNING_RATES = {"sgd": 0.01, "adam": 0.001}
CLASSES = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command `densa` and return its exit status.

    Args:
        arguments: The command line without the program's name; default `sys.argv[1:]`.

    Returns:
        0 on success, 1 after an error that was explained on stderr, 130 after Ctrl-C. A wrong
        command line leaves through `SystemExit(2)`, as argparse does.

    Example:
        >>> from densa.cli import main
        >>> main(["predict", "no-such.densa", "x.npy", "-o", "y.npy"])
        1
    """
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], None] = options.run
    try:
        run(options)
    except (ValueError, OSError, MemoryError, ImportError) as error:
        said = str(error) or type(error).__name__  # Python's own MemoryError says nothing
        print(f"densa {options.command}: error: {said}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\ndensa {options.command}: stopped", file=sys.stderr)
        return 130
    return 0


class _PrintFolder(argparse.Action):
    """Prints the folder that the function `const` finds, and ends the program."""

    def __init__(self, option_strings: Sequence[str], dest: str, const: Any, help: str) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, const=const, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *args: Any) -> None:
        try:
            print(self.const())
        except FileNotFoundError as error:
            parser.exit(1, f"densa: error: {error}\n")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="densa", description="Train and run dense networks.")
    parser.add_argument("--version", action="version", version=f"densa {densa.__version__}")
    parser.add_argument(
        "--cmakedir",
        action=_PrintFolder,
        const=cmake_folder,
        help="print the folder of the C library's CMake package, and exit",
    )
    parser.add_argument(
        "--pkgconfigdir",
        action=_PrintFolder,
        const=pkgconfig_folder,
        help="print the folder of its pkg-config file, and exit",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    info = commands.add_parser("info", help="show CPU level, threads and build")
    info.set_defaults(run=_info)

    train = commands.add_parser(
        "train",
        help="train a network on a data set, test it and save it",
    )
    train.add_argument("data", choices=sorted(TASKS), help="the data set")
    train.add_argument("--epochs", type=_positive, help="default: 20 for digits, 5 otherwise")
    train.add_argument("--batch-size", type=_positive, help="rows per step; default: 32")
    train.add_argument(
        "--hidden",
        type=_sizes,
        default=(300, 100),
        metavar="N,N,...",
        help="units of the hidden layers, '' for none; default: 300,100",
    )
    train.add_argument(
        "--optimizer",
        choices=sorted(LEARNING_RATES),
        default="sgd",
        help="default: sgd, with momentum 0.9",
    )
    train.add_argument("--learning-rate", type=_rate, help="default: 0.01 for sgd, 0.001 for adam")
    train.add_argument(
        "--seed", type=int, default=0, help="the same gives the same network; default: 0"
    )
    train.add_argument("--plot", metavar="FILE.png", help="write learning curves to this file")
    train.add_argument(
        "--output", default="model.densa", help="file for the model; default: model.densa"
    )
    train.set_defaults(run=_train)

    predict = commands.add_parser("predict", help="run a saved model on an array")
    predict.add_argument("model", metavar="MODEL", help="a model saved by densa")
    predict.add_argument("input", metavar="INPUT.npy", help="the rows to predict")
    predict.add_argument("-o", "--output", metavar="OUT.npy", required=True, help="the predictions")
    predict.add_argument("--batch-size", type=_positive, default=1024, help="rows at a time")
    predict.set_defaults(run=_predict)
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text}")
    return value


def _rate(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return value


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(_positive(part) for part in text.split(",")) if text.strip() else ()
    except (ValueError, argparse.ArgumentTypeError) as error:
        raise argparse.ArgumentTypeError(f"expected sizes like 300,100, got {text!r}") from error


def _info(options: argparse.Namespace) -> None:
    densa.show_config()


def _train(options: argparse.Namespace) -> None:
    task = TASKS[options.data]
    epochs = options.epochs or task.epochs
    batch_size = options.batch_size or task.batch_size
    # What would fail only after the training is checked before it.
    for path, ending in ((options.output, ".densa"), (options.plot, ".png")):
        if path is not None:
            _check_writable(path)
            if not path.endswith(ending):
                raise ValueError(f"the name of the file must end in {ending}; received {path}")
    if options.plot:
        densa.viz.check_installed()

    (x_train, y_train), (x_test, y_test) = _load(options.data)
    densa.utils.set_random_seed(options.seed)
    model = _network(x_train.shape[1:], task.scale, options.hidden)
    model.compile(
        optimizer=_optimizer(options.optimizer, options.learning_rate),
        loss=densa.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    sizes = (int(np.prod(x_train.shape[1:])), *options.hidden, CLASSES)
    print(
        f"{options.data}: {len(x_train)} images for training and validation, "
        f"{len(x_test)} for testing; network {'-'.join(map(str, sizes))}"
    )
    history = model.fit(
        x_train, y_train, batch_size=batch_size, epochs=epochs, validation_split=0.1
    )
    score = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
    print("test: " + ", ".join(f"{name} {value:.4f}" for name, value in score.items()))
    model.save(options.output)
    print(f"saved {options.output}")
    if options.plot:
        densa.viz.plot_history(history, options.plot, title=options.data)
        print(f"saved {options.plot}")


def _load(data: str) -> Any:
    if data == "digits":
        return densa.datasets.digits.load_data()
    return densa.datasets.fashion_mnist.load_data()


def _network(shape: tuple[int, ...], scale: float, hidden: Sequence[int]) -> densa.Sequential:
    layers = densa.layers
    return densa.Sequential(
        [
            densa.Input(shape),
            layers.Rescaling(scale),
            layers.Flatten(),
            *(layers.Dense(units, activation="relu") for units in hidden),
            layers.Dense(CLASSES),
        ]
    )


def _optimizer(name: str, learning_rate: float | None) -> densa.optimizers.Optimizer:
    rate = learning_rate or LEARNING_RATES[name]
    if name == "sgd":
        return densa.optimizers.SGD(rate, momentum=0.9)
    return densa.optimizers.Adam(rate)


def _predict(options: argparse.Namespace) -> None:
    _check_writable(options.output)
    for path, what in ((options.model, "the model"), (options.input, "the input")):
        if _same_file(options.output, path):
            raise ValueError(
                f"{options.output}: is {what}, which the predictions would replace; give another "
                "name to -o."
            )
    if is_predictor(options.model):
        x = _read_array(options.input)
        predictor = densa.Predictor.load(options.model)
        if len(predictor.inputs) != 1 or len(predictor.outputs) != 1:
            raise ValueError(
                f"{options.model}: has {len(predictor.inputs)} inputs and "
                f"{len(predictor.outputs)} outputs; one of each is expected here."
            )
        dtype = np.dtype(predictor.inputs[0].dtype)
        if not np.can_cast(x.dtype, dtype, "same_kind"):
            raise ValueError(f"{options.input}: is {x.dtype}; {options.model} takes {dtype}.")
        (y,) = predictor.run([np.ascontiguousarray(x, dtype)])
    else:
        model = densa.models.load_model(options.model)
        x = _read_array(options.input)
        y = np.asarray(model.predict(x, batch_size=options.batch_size, verbose=0))
    write_beside(options.output, lambda file: np.save(file, y, allow_pickle=False))
    print(f"saved {options.output}: {y.dtype} {y.shape}")


def _read_array(path: str) -> Any:
    with open(path, "rb") as file:
        try:
            x = np.load(file, allow_pickle=False)
        except (EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"{path}: empty or damaged ({error}); expected one array as numpy.save writes it."
            ) from error
    if not isinstance(x, np.ndarray):
        raise ValueError(f"{path}: an archive of arrays; expected one array (.npy).")
    return x


def _same_file(a: str, b: str) -> bool:
    return os.path.exists(a) and os.path.exists(b) and os.path.samefile(a, b)


def _check_writable(path: str) -> None:
    if not path:
        raise ValueError("the name of the file to write is empty; give a name or leave it out.")
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{path}: there is no folder {folder}.")
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path}: is a folder, expected the name of a file.")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{path}: no permission to write into {folder}.")
