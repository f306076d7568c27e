"""The changes that findings make: in a copy of the model, compiled as the model is."""

from __future__ import annotations

import collections
import functools
from collections.abc import Callable, Sequence
from typing import Any

from densa.saving.serialization import made_again
from densa.utils import tree

from .heads import output_layers

ADAPTIVE = ("Adagrad", "Adadelta", "RMSprop", "Adam", "AdamW", "Adamax", "Nadam", "Lion")
RECTIFIERS = ("relu", "relu6", "leaky_relu", "elu", "gelu", "silu", "mish", "swish")


def best_initializer(curve: str) -> str:
    """The initializer that Table 11-1 of the handbook gives an activation (A1-12)."""
    if curve == "selu":
        return "lecun_normal"
    return "he_normal" if curve in RECTIFIERS else "glorot_uniform"


def rebuilt(
    model: Any,
    layer: Callable[[Any], Any] | None = None,
    optimizer: Callable[[Any], Any] | None = None,
    loss: Callable[[Any], Any] | None = None,
) -> Any:
    """A compiled copy with fresh weights and, where functions are given, other layers, another
    optimizer and another loss.

    Args:
        model: A compiled model.
        layer: From a layer to the one that takes its place; None copies it.
        optimizer: From a copy of the optimizer to the one to use.
        loss: From the loss to the one to use.
    """
    return compiled_like(model, _copied(model, layer), optimizer, loss)


def _copied(model: Any, layer: Callable[[Any], Any] | None = None) -> Any:
    from densa import Model, Sequential
    from densa.models import clone_model

    copies: dict[int, Any] = {}  # what several places share is one layer in the copy, too

    def clone(old: Any) -> Any:
        if id(old) not in copies:
            graph = isinstance(old, Sequential) or (isinstance(old, Model) and old._graph)
            copies[id(old)] = clone_model(old, None, clone) if graph else exchanged(old)
        return copies[id(old)]

    def exchanged(old: Any) -> Any:
        made = layer(old) if layer is not None else None
        return made_again(old) if made is None else made

    made = clone_model(model) if layer is None else clone(model)
    _keep_data(model, made)
    return made


def _keep_data(model: Any, made: Any) -> None:
    # What no training changes: statistics of `adapt`, weights of frozen layers.
    old_layers, new_layers = model._flatten_layers(), made._flatten_layers()
    if len(old_layers) == len(new_layers):
        pairs = dict(zip(old_layers, new_layers, strict=True))
    else:
        keyed = _keyed(made)
        pairs = {old: keyed.get(key) for key, old in _keyed(model).items()}
    for old, new in pairs.items():
        own = old._own_variables()
        whole = hasattr(old, "adapt") or not old.trainable
        kept = [whole or (v.can_train and not v.trainable) for v in own]  # one alone may be frozen
        if not any(kept):
            continue
        if new is None:
            raise ValueError(f"the copy has no layer '{old.name}' for what that one holds")
        if type(new) is type(old) and not new.built:
            new.build_from_config(old.get_build_config() or {})
        copies = new._own_variables()
        if [v.shape for v in own] == [v.shape for v in copies]:
            for variable, copy, keep in zip(own, copies, kept, strict=True):
                if keep:
                    copy.assign(variable.numpy())
                    copy.trainable = variable.trainable


def compiled_like(
    model: Any,
    made: Any,
    optimizer: Callable[[Any], Any] | None = None,
    loss: Callable[[Any], Any] | None = None,
) -> Any:
    """Compiles `made` as `model` is, with a fresh optimizer."""
    arguments = model._compiled.arguments()
    if loss is not None:
        arguments["loss"] = loss(arguments["loss"])
    if optimizer is not None:
        given = arguments["optimizer"]
        inner = getattr(given, "inner_optimizer", None)
        arguments["optimizer"] = (
            optimizer(given)
            if inner is None
            else with_config(given, inner_optimizer=optimizer(inner))
        )
    made.compile(**arguments)
    return made


def with_config(old: Any, **changes: Any) -> Any:
    """A fresh layer or optimizer that differs in some arguments."""
    return made_again(old, **changes)


# ---- the optimizer ---------------------------------------------------------------------------


def at(rate: float) -> Callable[[Any], Any]:
    """From an optimizer to one that differs in its learning rate."""
    return functools.partial(with_config, learning_rate=rate)


def at_rate(rate: float) -> Callable[[Any], Any]:
    """The remedy that sets the learning rate."""
    return functools.partial(rebuilt, optimizer=at(rate))


def at_rate_with_weights(rate: float) -> Callable[[Any], Any]:
    """The remedy that sets the learning rate of a training that goes on."""

    def remedy(model: Any) -> Any:
        made = rebuilt(model, optimizer=at(rate))
        for copy, layer in zip(made._flatten_layers(), model._flatten_layers(), strict=True):
            copy._trainable = layer._trainable
        made.set_weights(model.get_weights())
        return made

    return remedy


def with_optimizer(**changes: Any) -> Callable[[Any], Any]:
    """The remedy that changes arguments of the optimizer."""
    return functools.partial(rebuilt, optimizer=lambda old: with_config(old, **changes))


# ---- layers ----------------------------------------------------------------------------------


def with_layers(
    change: Callable[[Any], Any],
    only: Sequence[Any] | None = None,
    of: Any = None,
    optimizer: Callable[[Any], Any] | None = None,
    loss: Callable[[Any], Any] | None = None,
) -> Callable[[Any], Any]:
    """The remedy that puts other layers into the places of some.

    Args:
        change: From a layer to the one that takes its place; None copies it.
        only: The layers to change, all where it is None, ...
        of: ... and the model that they belong to: a model built like it has others.
        optimizer: As for `rebuilt`.
        loss: As for `rebuilt`.
    """
    find = None if only is None else _finder(of, only)

    def remedy(model: Any) -> Any:
        chosen = None if find is None else find(model)
        done: set[int] = set()

        def exchange(old: Any) -> Any:
            made = change(old) if chosen is None or id(old) in chosen else None
            if made is not None:
                done.add(id(old))
            return made

        made = rebuilt(model, exchange, optimizer, loss)
        if not done or (chosen or set()) - done:
            raise ValueError(
                "a layer can be exchanged in a Sequential or functional model, not inside a "
                "subclass or another layer"
            )
        return made

    return remedy


def in_hidden_layers(
    change: Callable[[Any], Any],
    head: Callable[[Any], Any],
    optimizer: Callable[[Any], Any] | None = None,
) -> Callable[[Any], Any]:
    """The remedy that puts other layers into the places of hidden ones.

    Args:
        change: From a hidden layer to the one that takes its place; None copies it.
        head: The same for the layers that give the outputs, whose activations belong to the task.
        optimizer: As for `rebuilt`.
    """

    def remedy(model: Any) -> Any:
        outputs = set(output_layers(model))

        def either(old: Any) -> Any:
            return head(old) if old in outputs else change(old)

        simple = [x for x in model._flatten_layers() if not x._own_layers()]
        return with_layers(either, [x for x in simple if either(x) is not None], model, optimizer)(
            model
        )

    return remedy


def with_activation(old: Any, activation: str, suited: bool = False, **changes: Any) -> Any:
    """A fresh layer with another activation; `suited`: its kernel begins as that one wants it."""
    from densa import layers

    if not hasattr(old, "activation"):
        return layers.Activation(activation, name=old.name)
    if suited and hasattr(old, "kernel_initializer"):
        changes["kernel_initializer"] = best_initializer(activation)
    return with_config(old, activation=activation, **changes)


def _finder(model: Any, layers: Sequence[Any]) -> Callable[[Any], set[int]]:
    # The ids of the layers that stand for these in a copy of the model, where some layers may have
    # been added or exchanged, or in one built like it, whose layers have names of their own.
    kinds = [type(layer) for layer in model._flatten_layers(include_self=False)]
    wanted = {id(layer) for layer in layers}
    found = [(at, key) for at, (key, x) in enumerate(_keyed(model).items()) if id(x) in wanted]

    def find(other: Any) -> set[int]:
        keyed = _keyed(other)
        inside = list(keyed.values())
        gone = [key[0] for _, key in found if key not in keyed]
        if [type(layer) for layer in inside] == kinds:
            return {id(inside[at]) for at, _ in found}
        if gone:
            raise ValueError(
                f"Model '{other.name}' has no layer {', '.join(map(repr, gone))}: apply the "
                "finding to the model that was diagnosed, a copy of it that has the layer still, "
                "or a model built like it"
            )
        return {id(keyed[key]) for _, key in found}

    return find


def _keyed(model: Any) -> dict[tuple[str, int], Any]:
    # Layers by name; models inside may use a name again, so that its occurrences are counted.
    counts: collections.Counter[str] = collections.Counter()
    out = {}
    for layer in model._flatten_layers(include_self=False):
        out[layer.name, counts[layer.name]] = layer
        counts[layer.name] += 1
    return out


def with_arguments(layers: Sequence[Any], of: Any, **changes: Any) -> Callable[[Any], Any]:
    """The remedy that changes arguments of some layers of a model."""
    return with_layers(lambda old: with_config(old, **changes), layers, of)


def moved_before(layer: Any, place: Any, of: Any) -> Callable[[Any], Any]:
    """The remedy that puts a layer of a Sequential before another one."""
    find = [_finder(of, [x]) for x in (layer, place)]

    def remedy(model: Any) -> Any:
        (taken,), (behind,) = (found(model) for found in find)
        inner = _copied(model)
        copies = {id(old): copy for old, copy in zip(model.layers, inner.layers, strict=True)}
        order = []
        for at, copy in copies.items():
            order += [copies[taken], copy] if at == behind else [copy] if at != taken else []
        start = _input_like(inner._graph.inputs[0])
        return compiled_like(model, inner._like([start, *order]))

    return remedy


def takes_scaling(model: Any) -> bool:
    """Whether a layer can be put in front of a model of one input, or behind one of one output: of
    a subclass the input, or own steps, would be lost."""
    from densa import Model, Sequential

    if isinstance(model, Sequential) and "_like" in vars(type(model)):  # it says how it is remade
        return bool(model.built)
    return type(model) is Model and model._graph is not None and len(model.inputs) == 1


def scaled_inputs(scale: Any, offset: Any) -> Callable[[Any], Any]:
    """The remedy that puts x · scale + offset before the model."""

    def remedy(model: Any) -> Any:
        from densa.layers import Rescaling

        if not takes_scaling(model):
            raise ValueError(f"'{model.name}' takes no layer in front")
        first = Rescaling(scale.tolist(), offset.tolist(), name="standardize")
        made = _between(model, [first], [])
        if "inputs" in getattr(made, "advice", {}):  # of `models.mlp`: what `explain` prints
            made.advice["inputs"][0] = "standardized by the first layer"
        return compiled_like(model, made)

    return remedy


def scaled_outputs(scale: float, offset: float, rate: float | None = None) -> Callable[[Any], Any]:
    """The remedy that puts y · scale + offset behind the model, at another rate where one is
    given."""

    def remedy(model: Any) -> Any:
        from densa.layers import Rescaling

        if not takes_scaling(model):
            raise ValueError(f"'{model.name}' takes no layer behind it")
        if any(isinstance(given, dict) for given in model._compiled.arguments().values()):
            raise ValueError("`compile` was told names of outputs, which a layer behind changes")
        made = _between(model, [], [Rescaling(scale, offset, name="targets")])
        return compiled_like(model, made, None if rate is None else at(rate))

    return remedy


def _between(model: Any, before: list[Any], behind: list[Any]) -> Any:
    # A copy of the model between two rows of layers.
    from densa import Input, Model, Sequential

    inner = _copied(model)
    start: Any = getattr(inner, "_graph", None)
    if isinstance(model, Sequential):
        x = _input_like(start.inputs[0]) if start else Input(model.input_shape[1:])
        return inner._like([x, *before, *inner.layers, *behind])
    y = x = _input_like(start.inputs[0])
    for layer in before:
        y = layer(y)
    outputs = start.run([y])  # the copy's layers are called again, so that names stay
    for layer in behind:
        outputs = tree.map_structure(layer, outputs)
    return Model(tree.pack_like(start.inputs_struct, [x]), outputs, name=model.name)


def _input_like(symbol: Any) -> Any:
    from densa import Input

    name = symbol._keras_history[0].name
    return Input(batch_shape=symbol.shape, dtype=symbol.dtype, name=name)
