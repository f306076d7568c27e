"""Dtype policies by Keras' module: what a layer computes in and keeps its variables in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from densa._names import hinted, suggesting
from densa.config import DTypePolicy, get_policy

__all__ = ["DTypePolicy", "deserialize", "get", "serialize"]


@hinted
def serialize(dtype_policy: DTypePolicy) -> dict[str, Any]:
    """Return plain data for a policy.

    Args:
        dtype_policy: the policy.

    Example:
        >>> densa.dtype_policies.serialize(densa.DTypePolicy("mixed_bfloat16"))["config"]
        {'name': 'mixed_bfloat16'}
    """
    from densa.saving.serialization import serialize_keras_object

    data: dict[str, Any] = serialize_keras_object(dtype_policy)
    return data


@hinted
def deserialize(config: Any, custom_objects: Any = None) -> DTypePolicy:
    """Return the policy of `serialize`'s answer.

    Args:
        config: plain data, or a name.
        custom_objects: accepted for Keras; there are no other policies.

    Raises:
        ValueError: for a name or data that is none.

    Example:
        >>> densa.dtype_policies.deserialize({"name": "float64"})
        <DTypePolicy "float64">
    """
    return get_policy(config)


@hinted
def get(identifier: Any) -> DTypePolicy:
    """Return the policy of a name, a type, a policy or its configuration; None is the global one.

    Args:
        identifier: one of these.

    Raises:
        ValueError: for a name or data that is none.

    Example:
        >>> densa.dtype_policies.get("mixed_float16").compute_dtype
        'float16'
    """
    return get_policy(identifier)


if not TYPE_CHECKING:  # lest type checkers take every name for known
    __getattr__ = suggesting(__name__)
