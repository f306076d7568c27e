"""`mlp`: a dense network whose settings come from tables of advice, and say why.

The advice is that of Tables 11-3 and 11-4 of the founding text and of its three exceptions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import callbacks, optimizers, regularizers
from densa._names import hinted, nearest
from densa._numbers import check_real_number, whole_number
from densa.layers.activation import Activation
from densa.layers.alpha_dropout import AlphaDropout
from densa.layers.batch_normalization import BatchNormalization
from densa.layers.dense import Dense
from densa.layers.dropout import Dropout
from densa.layers.input_layer import Input
from densa.models.sequential import Sequential

RECIPES = ("default", "self_normalizing", "low_latency", "sparse", "uncertain")
TASKS = ("regression", "classification")
_SHALLOW = 3  # hidden layers up to which a network counts as shallow
_DECAY = 0.004  # what AdamW takes off, as its default


class MLP(Sequential):
    """A Sequential that `mlp` has made, with the advice behind its settings.

    Args:
        layers: the layers in order.
        trainable: whether `fit` changes their variables.
        name: its name; made up if None.

    Example:
        >>> densa.models.mlp(4, 1).count_params()
        10701
    """

    def __init__(self, layers: Any = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(layers, trainable=trainable, name=name)
        self.advice: dict[str, list[str]] = {}

    def explain(self, print_fn: Any = print) -> None:
        """Print each setting with the reason for it.

        Args:
            print_fn: gets each line instead of `print`.
        """
        wide = max((len(name) for name in self.advice), default=0)
        for name, (choice, reason) in self.advice.items():
            print_fn(f"{name:<{wide}}  {choice}")
            print_fn(f"{'':<{wide}}    because {reason}")

    def callbacks(self, monitor: str = "val_loss", patience: int = 10) -> list[Any]:
        """Return what goes into `fit(callbacks=...)`: early stopping and the performance schedule.

        Args:
            monitor: what is watched; "loss" where there are no validation data.
            patience: epochs without improvement until `fit` ends; the rate is halved after half as
                many.
        """
        patience = whole_number("patience", patience)
        return [
            callbacks.ReduceLROnPlateau(monitor, factor=0.5, patience=max(patience // 2, 1)),
            callbacks.EarlyStopping(monitor, patience=patience, restore_best_weights=True),
        ]

    def _like(self, layers: list[Any]) -> MLP:
        made = MLP(layers, name=self.name)
        made.advice = {name: list(told) for name, told in self.advice.items()}
        return made

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "advice": self.advice}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        made = super().from_config(config, custom_objects)
        made.advice = dict(config.get("advice", {}))
        return made


@hinted
def mlp(
    inputs: Any,
    outputs: int,
    hidden: Any = (100, 100),
    recipe: str = "default",
    *,
    task: str = "regression",
    dropout: float | None = None,
    l1: float = 1e-4,
    learning_rate: float | None = None,
    metrics: Any = None,
    name: str | None = None,
) -> MLP:
    """Make a compiled dense network with the settings that are known to work.

    `"default"`: He initialization, ReLU up to 3 hidden layers, Swish and batch norm beyond, AdamW.
    `"self_normalizing"`: LeCun initialization, SELU, alpha dropout if any, Nesterov's SGD.
    `"low_latency"`: as the default with ReLU, whose batch norms are folded by `freeze()`.
    `"sparse"`: as the default with an l1 penalty on the weights, and Nesterov's SGD.
    `"uncertain"`: as the default with dropout behind the last hidden layers, for
    `predict(x, mc_samples=100)`. `explain()` prints why, `callbacks()` gives early stopping and the
    rate's schedule for `fit`.

    Args:
        inputs: number of inputs, or the shape of a row.
        outputs: number of outputs.
        hidden: units of the hidden layers, in order.
        recipe: one of the five.
        task: "regression" (linear outputs, squared error) or "classification" (with one output a
            sigmoid and binary cross-entropy, with several a softmax and integer labels).
        dropout: share of units dropped behind each of the last three hidden layers; None: 0.2 for
            "uncertain", none for the others.
        l1: factor of the penalty of "sparse".
        learning_rate: None: 0.001 for AdamW, 0.01 for SGD.
        metrics: as in `compile`; None: accuracy for classification.
        name: name of the model.

    Returns:
        The model, compiled.

    Raises:
        TypeError: if a number is none.
        ValueError: for a recipe or task that is not known (the nearest is named), or a number out
            of range.

    Example:
        >>> model = densa.models.mlp(8, 3, hidden=(32, 16), task="classification")
        >>> model.explain(lambda line: print(line) if line.startswith("activation") else None)
        activation      relu
        >>> model.output_shape
        (None, 3)
    """
    for what, value, known in (("recipe", recipe, RECIPES), ("task", task, TASKS)):
        if value not in known:
            hint = nearest(str(value), known)
            raise ValueError(f"{what} must be one of {list(known)}; received {value!r}.{hint}")
    sizes = inputs if isinstance(inputs, list | tuple) else [inputs]
    if not sizes:
        raise ValueError(
            f"mlp: inputs must be a number of inputs or the shape of a row; received {inputs!r}."
        )
    shape = tuple(whole_number("mlp: inputs", n) for n in sizes)
    outputs = whole_number("mlp: outputs", outputs)
    if isinstance(hidden, str) or not (hasattr(hidden, "__index__") or np.iterable(hidden)):
        raise TypeError(
            f"mlp: hidden must be the units of the hidden layers, such as (100, 100), or of the "
            f"one there is; received {hidden!r}."
        )
    units = [hidden] if hasattr(hidden, "__index__") else list(hidden)
    units = [whole_number("mlp: hidden", n) for n in units]
    if dropout is None:
        dropout = 0.2 if recipe == "uncertain" else 0.0
    check_real_number("dropout", dropout, least=0)
    if dropout >= 1:
        raise ValueError(f"dropout must lie in [0, 1); received {dropout!r}.")
    if recipe == "uncertain" and not dropout:
        raise ValueError('recipe="uncertain" lives by its dropout; give a rate above 0.')
    check_real_number("l1", l1, least=0)

    advice = _advice(recipe, len(units), dropout)
    layers: list[Any] = [Input(shape)]
    if len(shape) > 1:
        from densa.layers.flatten import Flatten

        layers.append(Flatten())
    norm = advice["normalization"][0] == "batch norm"
    activation = advice["activation"][0]
    penalty = regularizers.L1(l1) if recipe == "sparse" and l1 else None
    for i, n in enumerate(units):
        if norm:
            layers += [
                Dense(
                    n, use_bias=False, kernel_initializer="he_normal", kernel_regularizer=penalty
                ),
                BatchNormalization(),
                Activation(activation),
            ]
        else:
            layers.append(
                Dense(n, activation, kernel_initializer="auto", kernel_regularizer=penalty)
            )
        if dropout and i >= len(units) - 3:
            layers.append((AlphaDropout if activation == "selu" else Dropout)(dropout))
    last, loss = None, "mse"
    if task == "classification":
        last = "sigmoid" if outputs == 1 else "softmax"
        loss = "binary_crossentropy" if outputs == 1 else "sparse_categorical_crossentropy"
        metrics = ["accuracy"] if metrics is None else metrics
    layers.append(Dense(outputs, last, kernel_initializer="auto"))
    model = MLP(layers, name=name)
    model.advice = advice
    adamw = advice["optimizer"][0] == "AdamW"
    if learning_rate is None:
        learning_rate = 1e-3 if adamw else 1e-2
    optimizer: Any = (
        optimizers.AdamW(learning_rate, weight_decay=_DECAY)
        if adamw
        else optimizers.SGD(learning_rate, momentum=0.9, nesterov=True)
    )
    model.compile(optimizer, loss, metrics=metrics)
    return model


def _advice(recipe: str, depth: int, dropout: float) -> dict[str, list[str]]:
    """Setting → what is chosen, and why."""
    deep = depth > _SHALLOW
    size = f"{depth} hidden layer{'s' if depth != 1 else ''} ({'deep' if deep else 'shallow'})"
    out: dict[str, list[str]] = {}
    if recipe == "self_normalizing":
        out["activation"] = [
            "selu",
            "a plain stack of dense layers keeps mean 0 and deviation 1 with it (Table 11-4)",
        ]
        out["initializer"] = ["LeCun normal", "SELU keeps the variance with 1/inputs only"]
        out["normalization"] = ["none", "the network normalizes itself; batch norm would undo it"]
        out["regularization"] = [
            f"alpha dropout {dropout:g}" if dropout else "early stopping",
            "penalties, max-norm and plain dropout break self-normalization",
        ]
        out["optimizer"] = ["SGD with Nesterov momentum", "Table 11-4; weight decay is a penalty"]
    else:
        fast = recipe == "low_latency"
        out["activation"] = (
            ["relu", "it is the fastest to evaluate"]
            if fast
            else ["swish", f"{size}: Swish is better there (Table 11-3)"]
            if deep
            else ["relu", f"{size}: ReLU is simple and enough (Table 11-3)"]
        )
        out["initializer"] = [
            "He normal",
            f"{out['activation'][0]} passes on about half of the variance (Table 11-1)",
        ]
        folded = "; freeze() folds it into the dense layers" if fast else ""
        out["normalization"] = (
            ["batch norm", f"{size}: it keeps gradients alive (Table 11-3){folded}"]
            if deep
            else ["none", f"{size}: gradients reach every layer without it (Table 11-3)"]
        )
        decay = f"weight decay {_DECAY:g}"
        out["regularization"] = {
            "sparse": [
                "l1 penalty, early stopping",
                "l1 drives weights to zero; set the small ones to zero after training",
            ],
            "uncertain": [
                f"dropout {dropout:g} behind the last hidden layers, {decay}",
                "predict(x, mc_samples=100) draws from it: better probabilities, and how sure",
            ],
        }.get(
            recipe,
            [
                f"dropout {dropout:g}, {decay}, early stopping"
                if dropout
                else f"{decay}, early stopping",
                "AdamW's usual decay is light; more, and dropout, are for overfitting (Table 11-3)",
            ],
        )
        out["optimizer"] = (
            [
                "SGD with Nesterov momentum",
                "Adam and its relatives rescale what a penalty adds to the gradient",
            ]
            if recipe == "sparse"
            else ["AdamW", "fast, and its weight decay is a true one (Table 11-3)"]
        )
    out["schedule"] = [
        "performance schedule",
        "it needs no tuning: callbacks() has it; 1cycle is the other choice of the tables",
    ]
    if recipe == "low_latency":
        out["deployment"] = [
            "freeze(), then freeze('bfloat16') or freeze('int8')",
            f"{size}: fewer and narrower layers, folded norms and fewer bits are what speed is",
        ]
    out["inputs"] = [
        "standardize them",
        "every recipe expects inputs of mean about 0 and deviation about 1",
    ]
    return out
