"""Misspelt names are errors that suggest the nearest one: of modules, arguments and classes."""

import copy
import importlib
import pickle

import numpy as np
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


def trained():
    model = densa.Sequential([densa.Input((2,)), L.Dense(1)])
    model.compile("sgd", "mse")
    return model


X, Y = np.ones((4, 2), "f4"), np.ones((4, 1), "f4")


@pytest.mark.parametrize(
    ("call", "wrong", "right"),
    [
        (lambda m: m.fit(X, Y, epoch=3), "epoch", "epochs"),
        (lambda m: m.compile(optimiser="sgd"), "optimiser", "optimizer"),
        (lambda m: m.evaluate(X, Y, batchsize=2), "batchsize", "batch_size"),
        (lambda m: m.predict(X, batch_sise=2), "batch_sise", "batch_size"),
        (lambda m: m.train_on_batch(X, Y, sample_weights=1), "sample_weights", "sample_weight"),
        (lambda m: m.diagnose(X, Y, step=1), "step", "steps"),
        (lambda m: m.freeze(calibrate=X), "calibrate", "calibration"),
        (lambda m: m.save("m.densa", over_write=1), "over_write", "overwrite"),
        (lambda m: m.load_weights("m", skip_mismatches=1), "skip_mismatches", "skip_mismatch"),
        (lambda m: m.get_layer(indx=0), "indx", "index"),
        (lambda m: m.summary(linelength=9), "linelength", "line_length"),
        (lambda m: m(X, trainign=True), "trainign", "training"),
        (lambda m: m.layers[0](X, trainign=True), "trainign", "training"),
        (lambda m: m.layers[0].add_weight(shap=(2,)), "shap", "shape"),
        (lambda m: m.optimizer.apply([], trainable_variable=[]), "trainable_v", "trainable_v"),
        (lambda m: densa.Input(shap=(2,)), "shap", "shape"),
        (lambda m: densa.models.clone_model(m, clone_fnction=1), "clone_fnction", "clone_function"),
        (
            lambda m: densa.models.load_model("m", custom_object=1),
            "custom_object",
            "custom_objects",
        ),
        (lambda m: densa.utils.plot_model(m, to_fil="m.svg"), "to_fil", "to_file"),
        (lambda m: densa.utils.to_categorical([1], num_class=2), "num_class", "num_classes"),
        (lambda m: densa.ops.sum(X, axes=1), "axes", "axis"),
        (lambda m: densa.ops.zeros((2,), dtyp="int32"), "dtyp", "dtype"),
        (lambda m: densa.activations.softmax(X, axs=1), "axs", "axis"),
        (lambda m: densa.losses.huber(X, X, delt=1), "delt", "delta"),
        (lambda m: densa.losses.Huber()(X, X, sample_weights=1), "sample_weights", "sample_weight"),
        (lambda m: densa.metrics.Mean().update_state(1, sample_weigth=1), "sample_w", "sample_w"),
        (lambda m: densa.random.normal((2,), std=1), "std", "stddev"),
    ],
)
def test_a_misspelt_argument_of_a_method_or_function(call, wrong, right):
    with pytest.raises((TypeError, ValueError), match=f"'{wrong}.*Did you mean '{right}"):
        call(trained())


def test_errors_inside_of_a_function_stay_what_they_are():
    class Own(L.Layer):
        def call(self, inputs, scale=1.0):
            return inputs * self.helper(scal=scale)

        def helper(self, scale):
            return scale

    with pytest.raises(TypeError, match=r"helper\(\) got an unexpected keyword argument 'scal'$"):
        Own()(X, scale=2.0)
