"""Misspelt names are errors that suggest the nearest one: of modules, arguments and classes."""

import copy
import importlib
import pickle

import pytest

import densa

L = densa.layers


def test_every_public_module_suggests_its_nearest_name():
    modules = [*densa._MODULES, "optimizers.schedules"]
    for module in (importlib.import_module(f"densa.{m}") for m in modules):
        known = getattr(module, "__all__", ["set_floatx"])
        name = max(known, key=len)
        with pytest.raises(AttributeError, match=f"{module.__name__}.*Did you mean '{name}'"):
            getattr(module, f"{name[:-2]}{name[-1]}{name[-2]}_")
        assert not hasattr(module, "__nothing__")
        with pytest.raises(AttributeError, match=r"'zzzzzzzzzzzz'\.$"):
            module.zzzzzzzzzzzz  # noqa: B018


@pytest.mark.parametrize(
    ("make", "wrong", "right"),
    [
        (lambda: densa.losses.Huber(delat=1), "delat", "delta"),
        (lambda: densa.metrics.AUC(num_threshold=9), "num_threshold", "num_thresholds"),
        (lambda: densa.optimizers.schedules.PowerDecay(0.1, 9, powr=1), "powr", "power"),
        (lambda: densa.regularizers.L2(l=1), "l", "l2"),
        (lambda: densa.constraints.MaxNorm(max_valeu=1), "max_valeu", "max_value"),
        (lambda: densa.initializers.HeNormal(sead=1), "sead", "seed"),
        (lambda: densa.callbacks.EarlyStopping(patiance=1), "patiance", "patience"),
        (lambda: densa.utils.PyDataset(worker=1), "worker", "workers"),
        (lambda: densa.Sequential(layer=[]), "layer", "layers"),
        (lambda: L.InputSpec(mindim=1), "mindim", "min_ndim"),
        (lambda: L.Dense(unts=3), "unts", "units"),
        (lambda: L.Dropout(p=0.5), "p", "rate"),
        (lambda: L.Dense(3, bias=False), "bias", "use_bias"),
        (lambda: L.Dense(3, "relu", kernel_initialiser="zeros"), "kernel_i", "kernel_initializer"),
        (lambda: densa.optimizers.SGD(lr=0.1), "lr", "learning_rate"),
        (lambda: densa.optimizers.AdamW(weight_deacy=0.1), "weight_deacy", "weight_decay"),
    ],
)
def test_a_misspelt_argument_is_named_with_the_nearest(make, wrong, right):
    with pytest.raises((TypeError, ValueError), match=f"'{wrong}.*Did you mean '{right}'"):
        make()


def test_a_misspelt_class_of_a_configuration_is_named_with_the_nearest():
    with pytest.raises(ValueError, match="L3.*Did you mean 'L"):
        densa.regularizers.get({"class_name": "L3"})
    with pytest.raises(ValueError, match="SDG.*Did you mean 'SGD'"):
        densa.optimizers.deserialize({"class_name": "SDG", "config": {}})


def test_a_class_that_takes_nothing_still_takes_nothing():
    for make in (lambda: densa.constraints.NonNeg(1), lambda: densa.constraints.NonNeg(axis=1)):
        with pytest.raises(TypeError, match=r"NonNeg\(\) takes no arguments"):
            make()


def test_own_classes_keep_arguments_that_they_take_out_of_kwargs():
    class Own(L.Layer):
        def __init__(self, units, **kwargs):
            self.unit = kwargs.pop("unit", None)  # near to `units`, which is given
            super().__init__(**kwargs)

    assert Own(3, unit=2).unit == 2
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'units'"):
        Own(name="x")
    with pytest.raises(TypeError, match="'unitz'.*Did you mean 'units'"):
        Own(unitz=3)


def test_objects_with_the_check_are_copied_and_pickled():
    huber = densa.losses.Huber(delta=2.0)
    for again in (copy.deepcopy(huber), pickle.loads(pickle.dumps(huber))):
        assert again.get_config() == huber.get_config()
