"""The corpus of the doctor: generated training runs with one known defect each, and healthy ones.

Every defect is set up on every data set at every width of a part. Thresholds are tuned on "tune"
and "check" and reported on "report". A run is a matter of milliseconds to a second.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import densa

# Data sets and widths of each part. "check" was to be reported at first: it showed 14 % of false
# alarms of overfitting, so it became a part to tune on, and other data took its place.
PARTS = {
    "tune": (("digits", "wine", "friedman1", "moons", "hastie", "bumps"), (24, 48, 96)),
    "check": (("cancer", "clusters", "diabetes", "spirals", "circles", "arcs"), (32, 64, 128)),
    "report": (("iris", "quantiles", "friedman2", "waves", "sides", "tides"), (20, 40, 80)),
}
MOST_ROWS = 480  # for training
# What is to be classified: by a softmax, or by one sigmoid unit. The others are regressions: with
# a linear unit, or, where the targets are between -1 and 1, with a tanh unit.
TASKS = ("digits", "wine", "moons", "cancer", "clusters", "spirals", "iris", "quantiles")
BINARY = ("hastie", "circles", "sides")
BOUNDED = ("bumps", "arcs", "tides")


@dataclass(frozen=True)
class Run:
    """Which defect (empty: none) on which data, how wide, from which seed."""

    defect: str
    data: str
    width: int
    seed: int
    part: str


@dataclass
class Trial:
    """A run made ready: train with `model.fit(x, y, **fit)`."""

    model: Any
    x: Any
    y: Any
    validation: tuple[Any, Any]
    fit: dict[str, Any] = field(default_factory=dict)
    # Called by `fit_trial` first: an earlier training that belongs to the run.
    before: Callable[[Trial, list[Any]], None] | None = None


# ---- data ------------------------------------------------------------------------------------


@functools.cache
def table(name: str) -> tuple[Any, Any]:
    """Features as they are, float32; labels, zeros and ones, standardized or bounded targets."""
    from sklearn import datasets

    rng = np.random.default_rng(5)
    if name == "spirals":
        turn = rng.uniform(0.5, 3.0, 900) * np.pi
        y = np.arange(900) % 3
        angle = turn + y * 2 * np.pi / 3
        x = np.stack([turn * np.cos(angle), turn * np.sin(angle)], 1) / 5
        x = x + rng.normal(0, 0.06, x.shape)
    elif name == "clusters":
        x, y = datasets.make_classification(
            900, 20, n_informative=10, n_classes=4, class_sep=1.5, flip_y=0.02, random_state=5
        )
    elif name == "moons":
        x, y = datasets.make_moons(900, noise=0.2, random_state=5)
    elif name == "waves":
        x = rng.uniform(-1, 1, (900, 5))
        y = np.sin(4 * x[:, 0]) * np.cos(2 * x[:, 1]) + x[:, 2] * x[:, 3]
        y = y + rng.normal(0, 0.1, 900)
    elif name == "quantiles":
        x, y = datasets.make_gaussian_quantiles(
            n_samples=900, n_features=6, n_classes=3, random_state=5
        )
    elif name == "hastie":
        x, y = datasets.make_hastie_10_2(900, random_state=5)
        y = y > 0
    elif name == "circles":
        x, y = datasets.make_circles(900, noise=0.15, factor=0.5, random_state=5)
    elif name == "sides":
        x, y = datasets.make_classification(
            900, 12, n_informative=6, n_classes=2, flip_y=0.03, random_state=5
        )
    elif name == "bumps":
        x = rng.uniform(-1, 1, (900, 3))
        y = 3 * np.sin(3 * x[:, 0]) + 2 * x[:, 1] * x[:, 2] + rng.normal(0, 0.2, 900)
    elif name == "arcs":
        x, y = datasets.make_friedman3(900, noise=0.1, random_state=5)
        y = 2 * (y - y.mean()) / y.std()
    elif name == "tides":
        x = rng.normal(size=(900, 4))
        y = x[:, 0] + x[:, 1] * x[:, 2] - 0.5 * x[:, 3] ** 2 + rng.normal(0, 0.2, 900)
    elif name == "friedman2":
        x, y = datasets.make_friedman2(900, noise=60.0, random_state=5)
    elif name == "friedman1":
        x, y = datasets.make_friedman1(900, 10, noise=0.5, random_state=5)
    else:
        load = {
            "digits": datasets.load_digits,
            "iris": datasets.load_iris,
            "wine": datasets.load_wine,
            "cancer": datasets.load_breast_cancer,
            "diabetes": datasets.load_diabetes,
        }[name]
        x, y = load(return_X_y=True)
    if name in TASKS:
        return x.astype("float32"), y.astype("int32")
    if name in BINARY:
        return x.astype("float32"), y.astype("float32")[:, None]
    if name in BOUNDED:
        return x.astype("float32"), np.tanh(y).astype("float32")[:, None]
    y = (y - y.mean()) / y.std()
    return x.astype("float32"), y.astype("float32")[:, None]


def split(
    name: str, seed: int, rows: int = MOST_ROWS, scaled: bool = True
) -> tuple[Any, Any, Any, Any]:
    """Training and validation rows in an order of the seed; standardized by the training rows."""
    x, y = table(name)
    order = np.random.default_rng(seed).permutation(len(x))
    held = min(len(x) * 2 // 5, 400)
    train, rest = order[held:][:rows], order[:held]
    x_train, x_rest = x[train], x[rest]
    if scaled:
        mean, spread = x_train.mean(0), x_train.std(0)
        spread[spread == 0] = 1
        x_train, x_rest = (x_train - mean) / spread, (x_rest - mean) / spread
    return x_train, y[train], x_rest, y[rest]


# ---- models ----------------------------------------------------------------------------------


def mlp(
    run: Run,
    features: int,
    *,
    depth: int = 2,
    width: int | None = None,
    activation: str = "relu",
    initializer: Any = "he_normal",
    bias: Any = "zeros",
    batch_norm: bool = False,
    dropout: Any = None,
    dropout_on_output: float = 0.0,
    regularizer: Any = None,
    head: Any = "suited",
) -> Any:
    """Dense layers of one width and the output that the data asks for, or another."""
    layers = densa.layers
    model = densa.Sequential([densa.Input((features,))])
    for _ in range(depth):
        model.add(
            layers.Dense(
                width or run.width,
                None if batch_norm else activation,
                use_bias=not batch_norm,
                kernel_initializer=initializer,
                bias_initializer=bias,
                kernel_regularizer=regularizer,
            )
        )
        if batch_norm:
            model.add(layers.BatchNormalization(momentum=0.9))
            model.add(layers.Activation(activation))
        if dropout is not None:
            model.add(dropout())
    classes = int(table(run.data)[1].max()) + 1 if run.data in TASKS else 0
    if head == "suited":
        head = "softmax" if classes else "sigmoid" if run.data in BINARY else None
        head = "tanh" if run.data in BOUNDED else head
    model.add(layers.Dense(classes or 1, None if dropout_on_output else head))
    if dropout_on_output:
        model.add(layers.Dropout(dropout_on_output))
        if head:
            model.add(layers.Activation(head))
    return model


def compile_for(run: Run, model: Any, optimizer: Any) -> Any:
    """Compiles with the loss of the data."""
    loss = "mean_squared_error"
    if run.data in TASKS:
        loss = "sparse_categorical_crossentropy"
    elif run.data in BINARY:
        loss = "binary_crossentropy"
    model.compile(optimizer, loss)
    return model


def trial(
    run: Run,
    optimizer: Any,
    *,
    rows: int = MOST_ROWS,
    scaled: bool = True,
    epochs: int = 20,
    batch_size: int = 32,
    callbacks: Callable[[], list[Any]] | None = None,
    **arguments: Any,
) -> Trial:
    """An MLP on the run's data."""
    x, y, x_rest, y_rest = split(run.data, run.seed, rows, scaled)
    model = compile_for(run, mlp(run, x.shape[1], **arguments), optimizer)
    fit = {"epochs": epochs, "batch_size": batch_size, "callbacks": callbacks or (list)}
    return Trial(model, x, y, (x_rest, y_rest), fit)


def adam(rate: float = 2e-3, **arguments: Any) -> Any:
    """Adam at a rate that suits these data."""
    return densa.optimizers.Adam(rate, **arguments)


def sgd(rate: float = 0.03, **arguments: Any) -> Any:
    """SGD with momentum at a rate that suits these data."""
    return densa.optimizers.SGD(rate, momentum=0.9, **arguments)


def early() -> list[Any]:
    """What keeps the healthy runs from overfitting."""
    return [densa.callbacks.EarlyStopping(patience=3, restore_best_weights=True)]


# ---- defects ---------------------------------------------------------------------------------

Maker = Callable[[Run], Trial]
DEFECTS: dict[str, Maker] = {}


def defect(make: Maker) -> Maker:
    """Registers the maker of runs with a defect under its name."""
    DEFECTS[make.__name__] = make
    return make


def wrong_labels(made: Trial, seed: int, share: float) -> Trial:
    """Exchanges a share of the training targets among their rows."""
    rng = np.random.default_rng(seed)
    wrong = rng.permutation(len(made.y))[: int(share * len(made.y))]
    made.y = made.y.copy()
    made.y[wrong] = made.y[rng.permutation(wrong)]
    return made


@defect
def overfitting(run: Run) -> Trial:
    """Few rows, some targets wrong, a wide network, much time."""
    made = trial(run, adam(5e-3), rows=60, epochs=80, batch_size=16, depth=3)
    return wrong_labels(made, run.seed, 0.2)


@defect
def underfitting(run: Run) -> Trial:
    """One unit in each hidden layer, far too much dropout, or far too strong a penalty."""
    kind = run.seed % 3
    if kind == 0:
        return trial(run, adam(5e-3), width=1, activation="tanh", epochs=30,
                     initializer="glorot_uniform")  # fmt: skip
    if kind == 1:
        return trial(run, adam(), dropout=lambda: densa.layers.Dropout(0.9), epochs=30)
    return trial(run, sgd(), regularizer=densa.regularizers.L2(0.3), epochs=30)


@defect
def plateau(run: Run) -> Trial:
    """The rate falls to nothing in the first epochs: by a schedule, or by an eager callback."""
    steps = 15
    schedules = densa.optimizers.schedules
    if run.seed % 2:
        falling = schedules.ExponentialDecay(1e-3, decay_steps=steps, decay_rate=0.1)
        return trial(run, densa.optimizers.Adam(falling), epochs=25)
    two = schedules.PiecewiseConstantDecay([2 * steps], [2e-3, 1e-7])
    return trial(run, densa.optimizers.Adam(two), epochs=25)


@defect
def oscillation(run: Run) -> Trial:
    """A rate at which the loss dances, on targets that are not free of noise."""
    rate = 0.1 if run.seed % 2 else 0.15
    if run.data in (*BINARY, *BOUNDED):  # at more, the unit sticks to an end: that is divergence
        rate *= 0.5 if run.data in BINARY else 0.3
    return wrong_labels(trial(run, adam(rate), epochs=30, activation="elu"), run.seed, 0.3)


@defect
def divergence(run: Run) -> Trial:
    """A rate at which the loss grows."""
    if run.data in (
        *TASKS,
        *BINARY,
        *BOUNDED,
    ):  # bounded outputs cannot overflow: a rate beyond all
        return trial(run, densa.optimizers.SGD(30.0 + 10 * (run.seed % 3)), epochs=10)
    return trial(run, densa.optimizers.SGD(1.0 + run.seed % 3, momentum=0.9), epochs=10)


@defect
def l2_with_adam(run: Run) -> Trial:
    """An l2 penalty under an adaptive optimizer."""
    strength = 0.03 if run.seed % 2 else 0.01
    return trial(run, adam(), regularizer=densa.regularizers.L2(strength))


@defect
def selu_setup(run: Run) -> Trial:
    """SELU with the initializer of another activation, with batch norm, or with plain dropout."""
    kind = run.seed % 3
    if kind == 0:
        return trial(run, sgd(0.01), depth=6, activation="selu", initializer="he_normal")
    if kind == 1:
        return trial(run, sgd(0.01), depth=4, activation="selu", initializer="lecun_normal",
                     batch_norm=True)  # fmt: skip
    return trial(run, sgd(0.01), depth=4, activation="selu", initializer="lecun_normal",
                 dropout=lambda: densa.layers.Dropout(0.4))  # fmt: skip


@defect
def dropout_on_output(run: Run) -> Trial:
    """Dropout behind the last dense layer."""
    return trial(run, adam(), dropout_on_output=0.2 + 0.1 * (run.seed % 3))


@defect
def unscaled_inputs(run: Run) -> Trial:
    """Features in the units that somebody has measured them in."""
    made = trial(run, sgd(0.01) if run.seed % 2 else adam(), scaled=False)
    rng = np.random.default_rng(run.seed)
    features = made.x.shape[1]
    units = np.float32(10.0) ** rng.uniform(0.5, 3, features).astype("float32")
    zero = (rng.uniform(2, 5, features) * units).astype("float32")
    x_rest, y_rest = made.validation
    made.x, made.validation = made.x * units + zero, (x_rest * units + zero, y_rest)
    return made


@defect
def rate_after_unfreezing(run: Run) -> Trial:
    """Lower layers trained on one half of the rows, frozen for the head, then freed at its rate."""
    made = trial(run, adam(), rows=80, epochs=12)
    x, y, _, _ = split(run.data, run.seed, 2 * MOST_ROWS)

    def before(ready: Trial, watching: list[Any]) -> None:
        model = ready.model
        compile_for(run, model, adam())
        model.fit(x, y, epochs=15, verbose=0)
        *lower, head = model.layers
        head.kernel.assign(0.1 * head.kernel)
        head.bias.assign(0.0 * head.bias)
        for layer in lower:
            layer.trainable = False
        compile_for(run, model, adam(0.05))
        model.fit(ready.x, ready.y, epochs=5, verbose=0, callbacks=watching)
        for layer in lower:
            layer.trainable = True
        compile_for(run, model, adam(0.05))

    made.before = before
    return made


@defect
def batch_norm_of_tiny_batches(run: Run) -> Trial:
    """Batch norm that sees two or three rows at a time."""
    return trial(run, adam(5e-3), rows=160, epochs=12, batch_size=2 + run.seed % 2,
                 batch_norm=True)  # fmt: skip


@defect
def dead_units(run: Run) -> Trial:
    """ReLU units pushed below zero from the start, or by the first steps."""
    low = densa.initializers.Constant(-4.0 - run.seed % 3)
    return trial(run, adam(1e-3), bias=low)


@defect
def saturation(run: Run) -> Trial:
    """Sigmoid or tanh units with weights from a normal distribution of deviation one and more."""
    wide = densa.initializers.RandomNormal(stddev=4.0 if run.seed % 2 else 3.0)
    activation = "tanh" if run.seed % 2 else "sigmoid"
    return trial(run, adam(), depth=3, activation=activation, initializer=wide)


@defect
def vanishing_gradients(run: Run) -> Trial:
    """Many sigmoid layers, or many layers with weights that are too small."""
    if run.seed % 2:
        return trial(run, sgd(), depth=8, activation="sigmoid", initializer="glorot_uniform")
    small = densa.initializers.RandomNormal(stddev=0.3 / np.sqrt(run.width))
    return trial(run, sgd(), depth=8, activation="tanh", initializer=small)


@defect
def exploding_gradients(run: Run) -> Trial:
    """Many layers with weights that are too large."""
    scale = densa.initializers.VarianceScaling(2.0 * (4 + run.seed % 3), "fan_in", seed=run.seed)
    return trial(run, adam(1e-3), depth=7, initializer=scale)


@defect
def update_ratio(run: Run) -> Trial:
    """A rate orders of magnitude too small."""
    return trial(run, adam(1e-6) if run.seed % 2 else sgd(3e-6))


@defect
def clipped_too_often(run: Run) -> Trial:
    """A clipping threshold far below the gradients."""
    limit = {"clipnorm": 1e-3} if run.seed % 2 else {"global_clipnorm": 2e-3}
    return trial(run, sgd(**limit))


@defect
def non_finite(run: Run) -> Trial:
    """An overflow in an exponential, or a hole in the data."""
    if run.seed % 2:
        large = densa.initializers.RandomNormal(stddev=30.0)
        return trial(run, sgd(), activation="exponential", initializer=large)
    made = trial(run, sgd())
    made.x = made.x.copy()
    made.x[len(made.x) // 3, 0] = np.nan
    return made


@defect
def head_and_loss(run: Run) -> Trial:
    """An output whose activation does not go with the loss, or not with the targets."""
    losses, kind = densa.losses, run.seed % 3
    if run.data in TASKS:
        made = trial(run, adam(), head=None if kind == 0 else "softmax")
        if kind == 1:
            made.model.compile(adam(), losses.SparseCategoricalCrossentropy(from_logits=True))
        elif kind == 2:
            made.model.compile(adam(), "binary_crossentropy")
            eye = np.eye(int(table(run.data)[1].max()) + 1, dtype="float32")
            x_rest, y_rest = made.validation
            made.y, made.validation = eye[made.y], (x_rest, eye[y_rest])
        return made
    if run.data in BINARY:
        made = trial(run, adam(), head=(None, "sigmoid", "softmax")[kind])
        if kind == 1:
            made.model.compile(adam(), losses.BinaryCrossentropy(from_logits=True))
        return made
    if run.data in BOUNDED:
        return trial(run, adam(), head="relu" if kind == 0 else "sigmoid")
    return trial(run, adam(), head=("sigmoid", "tanh", "relu")[kind])


@defect
def unscaled_targets(run: Run) -> Trial:
    """Numbers to be estimated in the unit that somebody has measured them in."""
    made = trial(run, adam())
    x_rest, y_rest = made.validation
    rng = np.random.default_rng(run.seed)
    unit = float(10.0 ** rng.uniform(1.5, 4))
    zero = float(rng.uniform(-2, 4) * unit)

    def measured(y: Any) -> Any:  # of classes: the number of the class
        return (unit * y.reshape(-1, 1) + zero).astype("float32")

    features = made.x.shape[1]
    made.model = densa.Sequential(
        [
            densa.Input((features,)),
            *(densa.layers.Dense(run.width, "relu", kernel_initializer="he_normal") for _ in "ab"),
            densa.layers.Dense(1),
        ]
    )
    made.model.compile(adam() if run.seed % 2 else sgd(1e-4), "mean_squared_error")
    made.y, made.validation = measured(made.y), (x_rest, measured(y_rest))
    return made


def healthy(run: Run) -> Trial:
    """Networks as the handbook wants them, of twelve kinds."""
    layers, optimizers = densa.layers, densa.optimizers
    kind = run.seed % 12
    if kind == 0:
        return trial(run, adam(), callbacks=early)
    if kind == 1:
        return trial(run, sgd(), callbacks=early)
    if kind == 2:
        return trial(run, sgd(nesterov=True), callbacks=early, batch_norm=True)
    if kind == 3:
        return trial(run, adam(), callbacks=early, dropout=lambda: layers.Dropout(0.2))
    if kind == 4:
        return trial(run, sgd(0.01), callbacks=early, depth=4, activation="selu",
                     initializer="lecun_normal")  # fmt: skip
    if kind == 5:
        return trial(run, adam(), callbacks=early, activation="tanh",
                     initializer="glorot_uniform")  # fmt: skip
    if kind == 6:
        return trial(run, optimizers.AdamW(2e-3, weight_decay=0.01), callbacks=early)
    if kind == 7:
        return trial(run, sgd(), callbacks=early, regularizer=densa.regularizers.L2(1e-4))
    if kind == 8:
        return trial(run, sgd(global_clipnorm=5.0), callbacks=early)
    if kind == 9:
        return trial(run, optimizers.Nadam(2e-3), callbacks=early, depth=3, activation="swish")
    if kind == 10:
        return trial(run, optimizers.RMSprop(1e-3), callbacks=early, depth=3, activation="elu")
    return trial(run, adam(), callbacks=early, depth=1, activation="sigmoid",
                 initializer="glorot_uniform")  # fmt: skip


def runs(part: str | None = None) -> list[Run]:
    """All runs, or those of one part: per defect one for each data set and width, and as many
    healthy ones."""
    made: list[Run] = []
    for name, (data, widths) in PARTS.items():
        if part not in (None, name):
            continue
        for at, kind in enumerate(DEFECTS):
            for i, source in enumerate(data):
                for j, width in enumerate(widths):
                    seed = 100 * at + 3 * i + j
                    made.append(Run(kind, source, width, seed, name))
                    made.append(Run("", source, width, seed + 10 * at, name))
    return made


def prepare(run: Run) -> Trial:
    """Data, model and arguments of a run."""
    densa.utils.set_random_seed(run.seed)
    return (DEFECTS[run.defect] if run.defect else healthy)(run)


def fit_trial(ready: Trial, watching: list[Any]) -> Any:
    """Trains, with further callbacks; returns the history."""
    if ready.before is not None:
        ready.before(ready, watching)
    return fit_last(ready, watching)


def fit_last(ready: Trial, watching: list[Any]) -> Any:
    """The training proper, without what comes before it."""
    arguments = {**ready.fit, "callbacks": [*watching, *ready.fit["callbacks"]()]}
    return ready.model.fit(
        ready.x, ready.y, validation_data=ready.validation, verbose=0, **arguments
    )


def validation_loss(ready: Trial, model: Any) -> float:
    """The loss of the validation rows without any penalty, in float64; infinite where it is NaN."""
    x, y = ready.validation
    found = np.asarray(model.predict(x, verbose=0), np.float64)
    if y.dtype.kind == "i" or y.shape[1] > 1:
        label = y if y.dtype.kind == "i" else y.argmax(1)
        found = np.clip(found, 1e-7, None)  # as the loss does with what are no probabilities
        chosen = np.clip(found[np.arange(len(y)), label] / found.sum(1), 1e-7, 1)
        loss = float(-np.log(chosen).mean())
    elif y.min() == 0 and y.max() == 1:
        right = np.clip(np.where(y > 0.5, found, 1 - found), 1e-7, 1)
        loss = float(-np.log(right).mean())
    else:
        loss = float(((found - y) ** 2).mean())
    return loss if np.isfinite(loss) else float("inf")
