"""Configurations that Keras 3 writes make densa's objects; what densa has not is refused."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import layers

# As Keras 3.15 writes them, beside what both know.
EXTRA = {
    "Dense": {"units": 3, "quantization_config": None, "lora_rank": None},
    "Embedding": {"input_dim": 3, "output_dim": 2, "quantization_config": None},
    "BatchNormalization": {"renorm": False, "renorm_clipping": None, "renorm_momentum": 0.99},
    "LayerNormalization": {"rms_scaling": False},
    "EinsumDense": {
        "equation": "ab,bc->ac",
        "output_shape": [4],
        "lora_alpha": None,
        "gptq_unpacked_column_size": None,
    },
}
ASKED = {
    "Dense": {"units": 3, "lora_rank": 2},
    "BatchNormalization": {"renorm": True},
    "LayerNormalization": {"rms_scaling": True},
}


@pytest.mark.parametrize("name", EXTRA)
def test_what_is_off_is_left_out(name):
    data = {"module": "keras.layers", "class_name": name, "config": EXTRA[name]}
    made = layers.deserialize(data)
    assert type(made) is getattr(layers, name)
    assert not set(made.get_config()) & {"renorm", "rms_scaling", "lora_rank"}


@pytest.mark.parametrize("name", ASKED)
def test_what_is_asked_for_is_refused(name):
    with pytest.raises((ValueError, TypeError), match="lora_rank|renorm|rms_scaling"):
        getattr(layers, name)(**ASKED[name])


def test_initializers_know_the_axes_of_keras():
    config = {"seed": 1, "input_axes": None, "output_axes": None}
    for name in ("GlorotUniform", "HeNormal", "LecunNormal"):
        data = {"module": "keras.initializers", "class_name": name, "config": config}
        made = densa.initializers.deserialize(data)
        assert made.get_config() == {"seed": 1}
    made = densa.initializers.HeNormal(seed=1, input_axes=[0], output_axes=[1, 2])
    again = densa.initializers.deserialize(densa.initializers.serialize(made))
    assert again.get_config() == {"seed": 1, "input_axes": [0], "output_axes": [1, 2]}
    assert np.asarray(again((200, 20, 20))).std() == pytest.approx(np.sqrt(2 / 200), rel=0.02)
    average = densa.initializers.GlorotUniform(seed=1, input_axes=[0], output_axes=[1, 2])
    limit = np.sqrt(6 / (200 + 400))
    assert np.abs(np.asarray(average((200, 20, 20)))).max() == pytest.approx(limit, rel=0.01)
    with pytest.raises(ValueError, match="together"):
        densa.initializers.VarianceScaling(input_axes=[0])
    with pytest.raises(ValueError, match="do not fit a weight of shape"):
        made((3,))
