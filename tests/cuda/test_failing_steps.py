"""A step that fails on its data, on a GPU: nothing changes from it on, as on the CPU."""

import numpy as np
import pytest

import densa
from densa import layers

_default = densa.get_device()
try:
    densa.set_device("cuda")
except RuntimeError as why:
    pytest.skip(str(why), allow_module_level=True)
finally:
    densa.set_device(_default)

BATCH, ROWS, WORDS = 4, 42, 9  # 10 whole batches and a half


@pytest.fixture(autouse=True)
def device():
    before = densa.get_device()
    yield
    densa.set_device(before)


@pytest.fixture(params=["0", "1"], ids=["apart", "shared"])
def memory(request, monkeypatch):
    """Whether values of a plan share memory, as on hardware, or the emulation keeps them apart."""
    monkeypatch.setenv("DENSA_EMULATION_SHARE", request.param)


def network(optimizer, dtype="float64"):
    model = densa.Sequential(
        [
            layers.Embedding(WORDS, 5, dtype=dtype),
            layers.Flatten(),
            layers.Dense(6, activation="tanh", dtype=dtype),
            layers.BatchNormalization(dtype=dtype),
            layers.Dense(3, dtype=dtype),
        ]
    )
    loss = densa.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer(), loss)
    return model


def data(seed=1):
    rng = np.random.default_rng(seed)
    return rng.integers(0, WORDS, (ROWS, 2)), rng.integers(0, 3, ROWS)


def spoil(x, y, step, what):
    """The data with one number of a step out of range."""
    x, y = x.copy(), y.copy()
    row = min(step * BATCH + 1, ROWS - 1)
    if what == "id":
        x[row, 1] = WORDS + 4
    else:
        y[row] = 3
    return x, y


def fit(model, x, y):
    model.fit(x, y, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)


def failing(device, optimizer, step, what):
    """The error, and (steps so far, all variables) after it and after one more epoch."""
    densa.set_device(device)
    densa.utils.set_random_seed(5)
    model = network(optimizer)
    x, y = data()
    fit(model, x, y)  # what is captured now meets the bad data as a replay
    with pytest.raises((IndexError, ValueError)) as error:
        fit(model, *spoil(x, y, step, what))
    states = [state(model)]
    fit(model, x, y)
    states.append(state(model))
    return str(error.value), states


def state(model):
    numbers = [v.numpy() for v in (*model.variables, *model.optimizer.variables)]
    return int(model.optimizer.iterations), numbers


@pytest.mark.parametrize("what", ["id", "label"])
@pytest.mark.parametrize("step", [0, 1, 5, 9, 10])
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: densa.optimizers.Adam(0.01, global_clipnorm=0.5),
        lambda: densa.optimizers.SGD(0.1, momentum=0.9),
    ],
)
def test_as_on_the_cpu(optimizer, step, what):
    expected_error, expected = failing("cpu", optimizer, step, what)
    error, states = failing("cuda", optimizer, step, what)
    assert error == expected_error
    for (steps, numbers), (expected_steps, wanted) in zip(states, expected, strict=True):
        assert steps == expected_steps
        for got, want in zip(numbers, wanted, strict=True):
            # Sums of another order, in float64, through 30 steps.
            np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-11)
    # Labels are looked at before the first step.
    assert states[0][0] == 11 + (step if what == "id" else 0)


@pytest.mark.usefixtures("memory")
def test_a_failure_in_the_first_fit():
    """The very first steps are launched one by one, the next is captured: both can fail."""
    for step in (0, 1, 2):
        numbers = {}
        for device in ("cpu", "cuda"):
            densa.set_device(device)
            densa.utils.set_random_seed(5)
            model = network(lambda: densa.optimizers.SGD(0.1))
            with pytest.raises((IndexError, ValueError), match="13"):
                fit(model, *spoil(*data(), step, "id"))
            assert int(model.optimizer.iterations) == step
            numbers[device] = [v.numpy() for v in model.variables]
        for got, want in zip(numbers["cuda"], numbers["cpu"], strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("memory")
def test_results_stop_where_the_failure_is():
    """predict raises as on the CPU, and works again with good data."""
    x, y = data()
    for device in ("cpu", "cuda"):
        densa.set_device(device)
        densa.utils.set_random_seed(5)
        model = network(lambda: densa.optimizers.SGD(0.1))
        good = model.predict(x, batch_size=BATCH, verbose=0)
        with pytest.raises((IndexError, ValueError), match="13"):
            model.predict(spoil(x, y, 7, "id")[0], batch_size=BATCH, verbose=0)
        np.testing.assert_array_equal(model.predict(x, batch_size=BATCH, verbose=0), good)
