"""Layers: what networks are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from densa._names import hinted, suggesting
from densa.layers.activation import Activation
from densa.layers.activity_regularization import ActivityRegularization
from densa.layers.add import Add, add
from densa.layers.alpha_dropout import AlphaDropout
from densa.layers.average import Average, average
from densa.layers.batch_normalization import BatchNormalization
from densa.layers.category_encoding import CategoryEncoding
from densa.layers.concatenate import Concatenate, concatenate
from densa.layers.dense import Dense
from densa.layers.discretization import Discretization
from densa.layers.dot import Dot, dot
from densa.layers.dropout import Dropout
from densa.layers.einsum_dense import EinsumDense
from densa.layers.elu import ELU
from densa.layers.embedding import Embedding
from densa.layers.flatten import Flatten
from densa.layers.gaussian_dropout import GaussianDropout
from densa.layers.gaussian_noise import GaussianNoise
from densa.layers.global_pooling import (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
)
from densa.layers.group_normalization import GroupNormalization
from densa.layers.hashing import HashedCrossing, Hashing
from densa.layers.identity import Identity
from densa.layers.input_layer import Input, InputLayer
from densa.layers.input_spec import InputSpec
from densa.layers.integer_lookup import IntegerLookup
from densa.layers.lambda_layer import Lambda
from densa.layers.layer import Layer
from densa.layers.layer_normalization import LayerNormalization
from densa.layers.leaky_relu import LeakyReLU
from densa.layers.masking import Masking
from densa.layers.maximum import Maximum, maximum
from densa.layers.minimum import Minimum, minimum
from densa.layers.multiply import Multiply, multiply
from densa.layers.normalization import Normalization
from densa.layers.permute import Permute
from densa.layers.prelu import PReLU
from densa.layers.random_brightness import RandomBrightness
from densa.layers.random_contrast import RandomContrast
from densa.layers.random_crop import RandomCrop
from densa.layers.random_flip import RandomFlip
from densa.layers.random_rotation import RandomRotation
from densa.layers.random_translation import RandomTranslation
from densa.layers.random_zoom import RandomZoom
from densa.layers.relu import ReLU
from densa.layers.repeat_vector import RepeatVector
from densa.layers.rescaling import Rescaling
from densa.layers.reshape import Reshape
from densa.layers.resizing import CenterCrop, Resizing
from densa.layers.rms_normalization import RMSNormalization
from densa.layers.rrelu import RReLU
from densa.layers.softmax import Softmax
from densa.layers.spatial_dropout import SpatialDropout1D
from densa.layers.spectral_normalization import SpectralNormalization
from densa.layers.string_lookup import StringLookup
from densa.layers.subtract import Subtract, subtract
from densa.layers.swish import Swish
from densa.layers.text_vectorization import TextVectorization
from densa.layers.time_distributed import TimeDistributed
from densa.layers.unit_normalization import UnitNormalization
from densa.layers.weight_normalization import WeightNormalization
from densa.layers.wrapper import Wrapper
from densa.saving.serialization import deserialize_keras_object, serialize_keras_object

# Keras' short names.
GlobalAvgPool1D, GlobalMaxPool1D = GlobalAveragePooling1D, GlobalMaxPooling1D
GlobalAvgPool2D, GlobalMaxPool2D = GlobalAveragePooling2D, GlobalMaxPooling2D


@hinted
def serialize(layer: Layer) -> Any:
    """Return plain data for a layer.

    Args:
        layer: a layer or model.

    Example:
        >>> densa.layers.serialize(densa.layers.Dense(2))["class_name"]
        'Dense'
    """
    return serialize_keras_object(layer)


@hinted
def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make a layer from `serialize`'s answer.

    Args:
        config: plain data, or a dictionary with class_name and config.
        custom_objects: own classes and functions by name.

    Returns:
        A layer.

    Raises:
        ValueError: if the data describes something else, or a class that is not known.

    Example:
        >>> data = densa.layers.serialize(densa.layers.Dense(2))
        >>> densa.layers.deserialize(data).units
        2
    """
    if isinstance(config, Mapping) and "module" not in config:
        config = {"module": "densa.layers", **config}
    layer = deserialize_keras_object(config, custom_objects)
    if not isinstance(layer, Layer):
        raise ValueError(
            f"`layers.deserialize` was passed a `config` object that is not a layer's: {config}."
        )
    return layer


__all__ = [
    "StringLookup",
    "SpatialDropout1D",
    "Resizing",
    "CenterCrop",
    "IntegerLookup",
    "Hashing",
    "HashedCrossing",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling1D",
    "Activation",
    "ActivityRegularization",
    "Add",
    "AlphaDropout",
    "Average",
    "BatchNormalization",
    "CategoryEncoding",
    "Concatenate",
    "Dense",
    "Discretization",
    "Dot",
    "Dropout",
    "ELU",
    "EinsumDense",
    "Embedding",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GroupNormalization",
    "Identity",
    "Input",
    "InputLayer",
    "InputSpec",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Masking",
    "Maximum",
    "Minimum",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
    "RMSNormalization",
    "RReLU",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "Rescaling",
    "RepeatVector",
    "Reshape",
    "Softmax",
    "SpectralNormalization",
    "Subtract",
    "Swish",
    "TextVectorization",
    "TimeDistributed",
    "UnitNormalization",
    "WeightNormalization",
    "Wrapper",
    "add",
    "average",
    "concatenate",
    "deserialize",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "serialize",
    "subtract",
]

if not TYPE_CHECKING:  # lest type checkers take every name for known
    __getattr__ = suggesting(__name__)
