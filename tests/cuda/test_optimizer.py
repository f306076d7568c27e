"""Optimizer steps on a GPU against the same steps on the CPU."""

import copy
import pickle

import numpy as np
import pytest

import densa
from densa import _core, optimizers

_default = densa.get_device()
try:
    densa.set_device("cuda")
except RuntimeError as why:
    pytest.skip(str(why), allow_module_level=True)
finally:
    densa.set_device(_default)

STEPS = 20
# A piece that a block takes is 1024 elements: less than one, one, some and a tail; sizes that leave
# 1 to 3 elements behind the last 16 bytes, and nothing at all.
SHAPES = [(5,), (67, 41), (1024,), (0, 3), (2051,), ()]

# Every rule of csrc/ops/optimizer/list.inc.
KINDS = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.5}),
    ("RMSprop", {"centered": True}),
    ("RMSprop", {"centered": True, "momentum": 0.5}),
    ("Adagrad", {}),
    ("Adadelta", {"learning_rate": 0.5}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True}),
    ("AdamW", {}),
    ("Adamax", {}),
    ("Nadam", {}),
    ("Lion", {}),
]
CLIPS = [{}, {"clipvalue": 0.3}, {"clipnorm": 0.7}, {"global_clipnorm": 0.7}]


@pytest.fixture(autouse=True)
def device():
    """New tensors go to the CPU unless a test says otherwise."""
    before = densa.get_device()
    densa.set_device("cpu")
    yield
    densa.set_device(before)


def numbers(dtype, shapes=SHAPES, seed=3):
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.standard_normal(s), dtype) for s in shapes]


def trained(device, make, start, gradients, as_gradient=None, **variable):
    """Weights and state after steps on a device."""
    densa.set_device(device)
    optimizer = make()
    variables = [densa.Variable(w, name=f"w{i}", **variable) for i, w in enumerate(start)]
    optimizer.exclude_from_weight_decay(var_names=["w1"])
    for step in gradients:
        grads = [as_gradient(g) if as_gradient else densa.ops.convert_to_tensor(g) for g in step]
        optimizer.apply(grads, variables)
    densa.set_device("cpu")
    assert all(v.device.startswith(device) for v in variables)
    return [v.numpy() for v in variables], [v.numpy() for v in optimizer.variables]


def both(make, start, gradients, **options):
    return [trained(d, make, start, gradients, **options) for d in ("cpu", "cuda")]


def assert_near(found, expected, eps_steps):
    """Within some roundings per step of the largest number of each array."""
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        if b.size:
            bound = (
                eps_steps * np.finfo(b.dtype).eps * np.abs(b).max() if b.dtype.kind == "f" else 0
            )
            np.testing.assert_allclose(a, b, rtol=0, atol=bound)


@pytest.mark.parametrize("clip", CLIPS, ids=lambda c: next(iter(c), "unclipped"))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("cls", "arguments"), KINDS, ids=str)
def test_steps_equal_the_cpu(cls, arguments, dtype, clip):
    start = numbers(dtype)
    gradients = [numbers(dtype, seed=10 + i) for i in range(STEPS)]
    arguments = {"learning_rate": 0.01, "weight_decay": 0.02} | arguments | clip

    def make():
        return getattr(optimizers, cls)(**arguments)

    (w, state), (w_gpu, state_gpu) = both(make, start, gradients)
    if dtype == "float64" and "norm" not in next(iter(clip), ""):
        # Elementwise formulas have the same bits; float32 quotients differ on AVX-512.
        for a, b in zip([*w_gpu, *state_gpu], [*w, *state], strict=True):
            np.testing.assert_array_equal(a, b)
    elif cls != "Lion":  # there a sign may fall the other way
        assert_near([*w_gpu, *state_gpu], [*w, *state], 20 * STEPS)


def test_a_norm_over_two_dtypes():
    start = [*numbers("float32"), *numbers("float64")]
    gradients = [[*numbers("float32", seed=i), *numbers("float64", seed=50 + i)] for i in range(3)]
    for clip in ({"global_clipnorm": 0.7}, {"clipnorm": 0.7}):
        (w, state), (w_gpu, state_gpu) = both(
            lambda clip=clip: optimizers.Adam(0.01, **clip), start, gradients
        )
        assert_near([*w_gpu, *state_gpu], [*w, *state], 60)


@pytest.mark.parametrize("clip", CLIPS, ids=lambda c: next(iter(c), "unclipped"))
def test_many_variables_in_one_launch(clip):
    shapes = [(n % 7, n) for n in range(1, 90)]
    start = numbers("float64", shapes)
    gradients = [numbers("float64", shapes, seed=i) for i in range(2)]
    (w, _), (w_gpu, _) = both(lambda: optimizers.SGD(0.1, **clip), start, gradients)
    assert_near(w_gpu, w, 20)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("clip", CLIPS[2:], ids=lambda c: next(iter(c)))
def test_norms_that_are_not_finite(bad, clip):
    g = np.ones(1500)
    g[1200] = bad
    start, gradients = [np.ones(1500), np.ones(4)], [[g, np.ones(4)]]
    (w, _), (w_gpu, _) = both(lambda: optimizers.SGD(0.1, **clip), start, gradients)
    for a, b in zip(w_gpu, w, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-15)  # NaN where the CPU has NaN
    assert np.isnan(w_gpu[0][1200])
    # A norm of NaN spreads, one of inf makes the factor 0.
    assert np.isnan(w_gpu[1]).all() == ("global_clipnorm" in clip and np.isnan(bad))


def test_gradients_that_begin_anywhere():
    """A part of a larger tensor need not begin at 16 bytes; the order of sums stays the same."""
    if not _core.has_gpu_kernel("slice"):
        pytest.skip("slice does not run on a GPU yet")
    shapes = [(1300,), (9,)]
    start = numbers("float32", shapes)
    gradients = [numbers("float32", shapes)]

    def part(g):
        wide = densa.ops.convert_to_tensor(np.concatenate([np.full(1, np.nan, g.dtype), g]))
        return wide[1:]

    def make():
        return optimizers.Adam(0.01, global_clipnorm=0.5)

    plain = trained("cuda", make, start, gradients)
    found = trained("cuda", make, start, gradients, as_gradient=part)
    for a, b in zip([*found[0], *found[1]], [*plain[0], *plain[1]], strict=True):
        np.testing.assert_array_equal(a, b)


def test_gradients_of_the_cpu_follow_their_variables():
    start, gradients = numbers("float32"), [numbers("float32", seed=4)]
    (w, _), (w_gpu, _) = both(
        lambda: optimizers.SGD(0.1), start, gradients, as_gradient=_core.from_numpy
    )
    assert_near(w_gpu, w, 4)


def test_gradient_that_shares_memory_with_its_variable():
    w = np.arange(1, 36, dtype=np.float32).reshape(5, 7)
    variable = densa.Variable(w, rows=True, device="cuda")
    _core.optimizer_step("sgd", {}, [variable], [variable.value], [[]], [True], 0, 0.25)
    np.testing.assert_array_equal(variable.numpy(), 0.75 * w)


def test_what_lies_where():
    densa.set_device("cuda")
    w = densa.Variable(np.ones((3, 2)), name="w")
    optimizer = optimizers.Adam(0.1, use_ema=True)
    optimizer.build([w])
    assert optimizer.iterations.device == optimizer.learning_rate.device == "cpu"
    states = [v for v in optimizer.variables if v.shape == w.shape]
    assert len(states) == 3
    assert {v.device for v in states} == {w.device}
    for twin in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert twin.iterations.device == twin.learning_rate.device == "cpu"
    optimizer.learning_rate = 0.5
    assert float(optimizer.learning_rate) == 0.5
    densa.set_device("cpu")
    # Slots lie beside their variable, wherever new ones go by now.
    late = optimizers.Adam(0.1)
    late.build([w])
    assert {v.device for v in late.variables if v.shape == w.shape} == {w.device}


@pytest.mark.parametrize(
    "arguments",
    [
        {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2},
        {"gradient_accumulation_steps": 2},
        {"loss_scale_factor": 4.0, "clipnorm": 0.5},
    ],
    ids=str,
)
def test_averages_accumulation_and_loss_scale(arguments):
    start = numbers("float64")
    gradients = [numbers("float64", seed=i) for i in range(5)]
    (w, state), (w_gpu, state_gpu) = both(
        lambda: optimizers.Adam(0.1, **arguments), start, gradients
    )
    assert_near([*w_gpu, *state_gpu], [*w, *state], 100)


def test_a_common_norm_needs_one_device():
    here, there = (densa.Variable(np.ones(3, np.float32), device=d) for d in ("cpu", "cuda"))
    g = densa.ops.convert_to_tensor(np.ones(3, np.float32))
    with pytest.raises(ValueError, match="lie on cpu and cuda:0; a limit on their common norm"):
        optimizers.SGD(0.1, global_clipnorm=1.0).apply([g, g], [here, there])
    np.testing.assert_array_equal(here.numpy(), np.ones(3))
    optimizers.SGD(0.5).apply([g, g], [here, there])
    for v in (here, there):
        np.testing.assert_array_equal(v.numpy(), np.full(3, 0.5))


def test_a_slot_on_another_device_is_refused():
    w = densa.Variable(np.ones(3, np.float32), device="cuda")
    slot = densa.Variable(np.zeros(3, np.float32), device="cpu")
    g = densa.ops.convert_to_tensor(np.ones(3, np.float32))
    with pytest.raises(ValueError, match="another type, layout or device"):
        _core.optimizer_step("sgd", {"momentum": 0.5}, [w], [g], [[slot]], [True], 0, 0.1)
