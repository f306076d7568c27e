"""How often the host copies to a GPU and waits for it: counted by the emulated one."""

import os

import numpy as np
import pytest

import densa
from densa import _core, layers
from densa import device as densa_device

if not os.environ.get("DENSA_CUDA_EMULATED"):
    pytest.skip("only the emulated GPU counts", allow_module_level=True)


@pytest.fixture(autouse=True)
def gpu():
    before = densa.get_device()
    densa.set_device("cuda")
    yield
    densa.set_device(before)


class Counted:
    """What was asked of the GPU in a with block."""

    def __enter__(self):
        self._before = densa_device._cuda().counts()
        return self

    def __exit__(self, *_):
        for name, count in densa_device._cuda().counts().items():
            setattr(self, name, count - self._before[name])


def test_numbers_beside_tensors_are_launches():
    x = densa.ops.convert_to_tensor(np.arange(6.0, dtype="float32"))
    with Counted() as count:
        y = (x * 2 + 1) / 3 - np.float32(0.5)
        z = _core.full([3, 4], 1.0) + _core.full([3, 4], 7.0)
    assert (count.to_device, count.to_host, count.waits) == (0, 0, 0)
    np.testing.assert_allclose(y.numpy(), (np.arange(6) * 2 + 1) / 3 - 0.5, rtol=1e-6)
    np.testing.assert_array_equal(z.numpy(), np.full((3, 4), 8.0))


@pytest.mark.parametrize(
    ("dtype", "number"),
    [
        ("float64", -2.5),
        ("int64", -3),
        ("int32", 2**31 - 1),
        ("int16", -7),
        ("uint8", 255),
        ("bool", True),
    ],
)
def test_a_fill_of_every_size(dtype, number):
    got = _core.full([5, 7], float(number), dtype).numpy()
    np.testing.assert_array_equal(got, np.full((5, 7), number, dtype))


def test_an_optimizer_step_does_not_wait():
    variables = [densa.Variable(np.ones((3, 5), "float32"), name=f"w{i}") for i in range(4)]
    gradients = [densa.ops.convert_to_tensor(np.full((3, 5), 0.5, "float32")) for _ in variables]
    optimizer = densa.optimizers.Adam(0.01)
    optimizer.apply(gradients, variables)
    variables[0].numpy()  # the GPU catches up: uploads wait for it where too many are on their way
    with Counted() as count:
        optimizer.apply(gradients, variables)
    assert count.to_device == 1  # the table of variables and the numbers of the step
    assert (count.to_host, count.waits) == (0, 0)


def test_an_eager_op_that_can_fail_waits_once():
    table = densa.ops.convert_to_tensor(np.ones((4, 2), "float32"))
    ids = densa.ops.convert_to_tensor(np.array([0, 3, 1]))
    with Counted() as count:
        densa.ops.take(table, ids, axis=0)
    assert (count.to_device, count.to_host, count.waits) == (0, 1, 1)


def test_waits_of_an_epoch_do_not_grow_with_its_steps():
    """The host looks at the clock now and then; a step asks nothing of it."""
    model = densa.Sequential([layers.Embedding(9, 4), layers.Flatten(), layers.Dense(3)])
    model.compile("sgd", densa.losses.SparseCategoricalCrossentropy(from_logits=True))
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 9, (256, 2)), rng.integers(0, 3, 256)
    model.fit(x, y, batch_size=4, epochs=2, verbose=0)
    with Counted() as count:
        model.fit(x, y, batch_size=4, epochs=1, verbose=0)
    assert count.graphs == 64
    assert count.launches < 30  # only what is around the steps
    assert count.waits < 60  # about 20 where it is fast; one a step would be more than 64
    assert count.to_host < 60
