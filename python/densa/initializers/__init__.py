"""Initializers: how variables get their first values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from densa._names import hinted, suggesting
from densa._scope import to_snake_case
from densa.initializers.constant_initializers import Constant, Identity, Ones, Zeros
from densa.initializers.initializer import Initializer
from densa.initializers.random_initializers import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomInitializer,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)
from densa.saving.registry import Family

_CLASSES: tuple[type[Initializer], ...] = (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Identity,
    LecunNormal,
    LecunUniform,
    Ones,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    Zeros,
)
_names: dict[str, type] = {}
for _cls in _CLASSES:
    _names[_cls.__name__] = _cls
    _names[to_snake_case(_cls.__name__)] = _cls
_names.update(
    {"uniform": RandomUniform, "normal": RandomNormal, "one": Ones, "zero": Zeros}
    | {"orthogonal_initializer": Orthogonal, "IdentityInitializer": Identity}
    | {"OrthogonalInitializer": Orthogonal}
)
_family = Family("initializer", "densa.initializers", _names)

# Keras' names in small letters.
constant, zeros, ones, identity = Constant, Zeros, Ones, Identity
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
variance_scaling, orthogonal = VarianceScaling, Orthogonal
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal
glorot_normal, glorot_uniform = GlorotNormal, GlorotUniform
he_normal, he_uniform = HeNormal, HeUniform
lecun_normal, lecun_uniform = LecunNormal, LecunUniform


@hinted
def serialize(initializer: Any) -> Any:
    """Return plain data for an initializer.

    Args:
        initializer: an instance or a function.

    Example:
        >>> densa.initializers.serialize(densa.initializers.Zeros())["class_name"]
        'Zeros'
    """
    return _family.serialize(initializer)


@hinted
def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make an initializer from its name or from `serialize`'s answer.

    Args:
        config: a name or plain data.
        custom_objects: own classes by name.

    Returns:
        An initializer.

    Raises:
        ValueError: for a name that is not known; the nearest one is named.

    Example:
        >>> densa.initializers.deserialize("zeros").__class__.__name__
        'Zeros'
    """
    return _family.deserialize(config, custom_objects)


@hinted
def get(identifier: Any) -> Any:
    """Return an initializer for a name, config, array, function or instance.

    Args:
        identifier: a name, plain data, an array, a function or an initializer.

    Raises:
        ValueError: for a name that is not known; the nearest one is named.

    Example:
        >>> densa.initializers.get("he_normal").__class__.__name__
        'HeNormal'
    """
    if hasattr(identifier, "__array__") and not callable(identifier):
        return Constant(identifier)
    return _family.get(identifier)


# What keeps the variance of values and gradients from layer to layer: Glorot for functions that
# are steep at zero and for outputs, He for those that cut away half of their input, LeCun for SELU.
_HE = frozenset(
    ("relu", "relu6", "leaky_relu", "elu", "celu", "gelu", "silu", "swish", "mish")
    + ("ReLU", "LeakyReLU", "PReLU", "RReLU", "ELU", "Swish")
)


@hinted
def for_activation(activation: Any) -> Initializer:
    """Return the initializer that fits an activation: what `kernel_initializer="auto"` means.

    Args:
        activation: a name, function or layer; None for none. The rectifiers and their smooth
            relatives (ReLU, leaky ReLU, PReLU, ELU, GELU, Swish, Mish) get `HeNormal`, SELU gets
            `LecunNormal`, everything else (none, tanh, sigmoid, softmax) `GlorotUniform`.

    Returns:
        A new initializer.

    Raises:
        ValueError: for an activation that is not known.

    Example:
        >>> densa.initializers.for_activation("relu").__class__.__name__
        'HeNormal'
    """
    from densa import activations

    found: Any = activations.get(activation)
    name = getattr(found, "__name__", None) or type(found).__name__
    if name == "Activation":  # the layer
        return for_activation(found.activation)
    if name == "selu":
        return LecunNormal()
    return HeNormal() if name in _HE else GlorotUniform()


__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "deserialize",
    "for_activation",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]

if not TYPE_CHECKING:  # lest type checkers take every name for known
    __getattr__ = suggesting(__name__)
