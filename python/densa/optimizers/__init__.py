"""Optimizers: how variables change against their gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from densa._names import hinted, suggesting
from densa.saving.registry import Family

from . import schedules
from .adadelta import Adadelta
from .adafactor import Adafactor
from .adagrad import Adagrad
from .adam import Adam
from .adamax import Adamax
from .adamw import AdamW
from .ftrl import Ftrl
from .lamb import Lamb
from .lion import Lion
from .loss_scale_optimizer import LossScaleOptimizer
from .muon import Muon
from .nadam import Nadam
from .optimizer import Optimizer
from .rmsprop import RMSprop
from .schedule_free_adamw import ScheduleFreeAdamW
from .sgd import SGD

_CLASSES: tuple[type[Optimizer], ...] = (
    SGD,
    RMSprop,
    Adagrad,
    Adadelta,
    Adam,
    AdamW,
    Adamax,
    Nadam,
    Lion,
    Ftrl,
    Lamb,
    Adafactor,
    Muon,
    ScheduleFreeAdamW,
    LossScaleOptimizer,
)
_family = Family(
    "optimizer",
    "densa.optimizers",
    {c.__name__.lower(): c for c in _CLASSES} | {c.__name__: c for c in _CLASSES},
)


@hinted
def serialize(optimizer: Optimizer) -> Any:
    """Configuration of an optimizer, for `deserialize`; its state is not part of it.

    Args:
        optimizer: An `Optimizer`.

    Returns:
        A dictionary that `deserialize` accepts.

    Example:

    >>> import densa
    >>> densa.optimizers.serialize(densa.optimizers.SGD(0.5))["class_name"]
    'SGD'
    """
    return _family.serialize(optimizer)


@hinted
def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The optimizer of a name or of a configuration made by `serialize`.

    Args:
        config: A name (`"adam"`, case does not matter) or a configuration.
        custom_objects: Own classes by name.

    Returns:
        An `Optimizer`.

    Raises:
        ValueError: The name is not known; suggests the nearest one.

    Example:

    >>> import densa
    >>> config = densa.optimizers.serialize(densa.optimizers.SGD(0.5))
    >>> float(densa.optimizers.deserialize(config).learning_rate)
    0.5
    """
    if isinstance(config, str) and config.lower() in _family.names:
        config = config.lower()
    return _family.deserialize(config, custom_objects)


@hinted
def get(identifier: Any) -> Optimizer:
    """An optimizer from whatever `compile` accepts: a name, a configuration, an `Optimizer`.

    Args:
        identifier: A name gives the optimizer with its default arguments.

    Returns:
        The optimizer.

    Raises:
        ValueError: Nothing of that name, or no optimizer at all.

    Example:

    >>> import densa
    >>> type(densa.optimizers.get("adam")).__name__
    'Adam'
    """
    if isinstance(identifier, str) and identifier.lower() == "lossscaleoptimizer":
        raise ValueError(
            "LossScaleOptimizer needs the optimizer that it is put around: "
            "LossScaleOptimizer(densa.optimizers.SGD(0.1))."
        )
    found = deserialize(identifier) if isinstance(identifier, str | Mapping) else identifier
    if isinstance(found, type) and issubclass(found, Optimizer):
        found = found()
    if not isinstance(found, Optimizer):
        raise ValueError(
            f"Could not interpret optimizer identifier: {identifier!r}. Expected a name such as "
            "'adam', an Optimizer, or its configuration."
        )
    return found


__all__ = [
    "Optimizer",
    "SGD",
    "RMSprop",
    "Adagrad",
    "Adadelta",
    "Adafactor",
    "Adam",
    "AdamW",
    "Adamax",
    "Muon",
    "Nadam",
    "Ftrl",
    "Lamb",
    "Lion",
    "LossScaleOptimizer",
    "ScheduleFreeAdamW",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]


def __getattr__(name: str) -> Any:
    if name == "experimental":  # Keras 2's; loaded when asked for
        import importlib

        return importlib.import_module("densa.optimizers.experimental")
    suggesting(__name__)(name)
