"""Names, configs, classes and functions become objects the same way in every family."""

from __future__ import annotations

import pytest

import densa
from densa._scope import to_snake_case

FAMILIES = {
    "activations": densa.activations,
    "constraints": densa.constraints,
    "initializers": densa.initializers,
    "losses": densa.losses,
    "metrics": densa.metrics,
    "optimizers": densa.optimizers,
    "regularizers": densa.regularizers,
}
each = pytest.mark.parametrize("module", FAMILIES.values(), ids=FAMILIES)
# They cannot be made without arguments.
NEED_ARGUMENTS = {"MeanMetricWrapper", "LossScaleOptimizer", "lossscaleoptimizer"}
NEED_ARGUMENTS |= {"PrecisionAtRecall", "RecallAtPrecision", "SensitivityAtSpecificity"}
NEED_ARGUMENTS |= {"SpecificityAtSensitivity", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"}
NEED_ARGUMENTS |= {to_snake_case(name) for name in NEED_ARGUMENTS}


def names(module):
    return [name for name in module._family.names if name not in NEED_ARGUMENTS]


@each
def test_every_name_gives_an_object_that_its_data_gives_again(module):
    assert len(names(module)) >= 4
    for name in names(module):
        made = module.get(name)
        assert callable(made) or isinstance(made, densa.optimizers.Optimizer)
        assert not isinstance(made, type)
        data = module.serialize(made)
        again = module.deserialize(data)
        assert type(again) is type(made)
        assert module.serialize(again) == data


@each
def test_a_config_may_use_any_name_and_lack_its_module(module):
    for name in names(module):
        made = module.deserialize(name)
        if isinstance(module._family.names[name], type):
            data = {"class_name": name, "config": made.get_config()}
        else:
            data = {"class_name": "function", "config": name}
        assert type(module.deserialize(data)) is type(made)


@each
def test_unknown_names_and_wrong_data_say_the_way_out(module):
    name = names(module)[0]
    with pytest.raises(ValueError, match=rf"Did you mean '.*'.*densa\.{module.__name__[6:]}"):
        module.get(name + "x")
    with pytest.raises(ValueError, match="class_name"):
        module.deserialize({"rate": 1.0})
    with pytest.raises(ValueError, match="interpret"):
        module.get(3)


def test_a_registered_class_keeps_its_name_beside_a_built_in_one():
    @densa.saving.register_keras_serializable(package="tests")
    class Adam(densa.optimizers.Optimizer):
        pass

    try:
        made = densa.optimizers.deserialize(densa.optimizers.serialize(Adam(0.5)))
        assert type(made) is Adam
        assert type(densa.optimizers.get("adam")) is densa.optimizers.Adam
    finally:
        del densa.saving.get_custom_objects()["tests>Adam"]


def test_custom_objects_are_made_too():
    class Own(densa.losses.Loss):
        def call(self, y_true, y_pred):
            return y_pred

    made = densa.losses.deserialize("Own", custom_objects={"Own": Own})
    assert isinstance(made, Own)
    data = densa.losses.serialize(made)
    assert isinstance(densa.losses.deserialize(data, custom_objects={"Own": Own}), Own)
