"""Memory that is not there: an error that says how many bytes, and everything usable afterwards."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

import densa
from densa import _core, layers, ops


@pytest.mark.parametrize(
    "make",
    [
        lambda: ops.zeros((2**40, 2**40)),
        lambda: ops.ones((2**31, 2**31)),
        lambda: ops.full((2**31, 2**31), 1.0),
        lambda: _core.full([2**31, 2**31], 0.0, "float64"),  # 2^62 elements: the bytes overflow
        lambda: _core.apply("broadcast_to", np.ones(1), shape=[2**20, 2**20, 2**20]),
        lambda: ops.one_hot(np.zeros(8, int), 2**60),
        lambda: densa.random.normal((2**33, 2**33)),
        lambda: densa.Variable("zeros", shape=(2**40, 2**40), name="v"),
        lambda: densa.Variable("glorot_uniform", shape=(2**33, 2**33), name="v"),
        lambda: layers.Embedding(10**15, 10**6).build(None),
    ],
)
def test_absurd_sizes(make):
    with pytest.raises(MemoryError, match=r"\d bytes|Unable to allocate"):
        make()


def test_the_variable_is_named():
    layer = layers.Dense(10**9)
    with pytest.raises(
        MemoryError, match=r"'kernel' of shape \(1000000, 1000000000\) .* takes 4000000000000000 b"
    ):
        layer.build((None, 10**6))
    assert not layer.built
    assert layer.weights == []


def test_a_layer_that_does_not_fit_is_not_added():
    model = densa.Sequential([densa.Input((10**6,)), layers.Dense(2)])
    kept = model.get_weights()
    for bad in (layers.Dense(10**15), layers.Reshape((7, 7))):
        with pytest.raises((MemoryError, ValueError)):
            model.add(bad)
        assert len(model.layers) == 1
        assert model.built
    model.add(layers.Dense(1))
    assert model.predict(np.ones((1, 10**6), "f4"), verbose=0).shape == (1, 1)
    np.testing.assert_array_equal(model.get_weights()[0], kept[0])


# With room for 2 GiB: what is asked for is possible, but not there.
LIMITED = """
    import resource
    import numpy as np
    import densa
    from densa import layers, ops

    densa.set_num_threads(1)
    model = densa.Sequential([densa.Input((4,)), layers.Dense(2000, "relu"), layers.Dense(1)])
    model.compile("adam", "mse")
    x = np.ones((400_000, 4), "f4")
    y = x[:, :1]
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))

    def fails(call, *words):
        try:
            call()
        except MemoryError as error:
            missing = [w for w in words if w not in str(error)]
            assert not missing, (missing, str(error))
        else:
            raise AssertionError("no MemoryError")

    # a tensor, a variable, a plan, eager steps
    fails(lambda: ops.add(ops.zeros((2**28, 1)), ops.zeros((1, 8))), f"{2**33} bytes (8 GiB)")
    wide = np.broadcast_to(np.float32(0), (2**20, 2**12))
    fails(lambda: densa.Variable(wide), "16.0 GiB")
    fails(lambda: densa._core.Variable(wide), f"{2**34} bytes")
    before = model.get_weights()
    fails(lambda: model.fit(x, y, batch_size=len(x), epochs=2, verbose=0), "bytes (")
    fails(lambda: model.evaluate(x, y, batch_size=len(x), verbose=0), "bytes (")
    fails(lambda: model.predict(x, batch_size=len(x), verbose=0), "bytes (")
    fails(lambda: model(x), f"{400_000 * 2000 * 4} bytes")
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    first = model.fit(x[:1000], y[:1000], verbose=0).history["loss"][0]
    assert model.fit(x[:1000], y[:1000], verbose=0).history["loss"][0] < first

    # state of an optimizer that does not fit beside the weights
    wide = layers.Dense(2**14, kernel_initializer="zeros")  # 512 MiB
    large = densa.Sequential([densa.Input((2**13,)), wide])
    large.compile(densa.optimizers.Adam(0.0, use_ema=True), "mse")
    one = np.ones((1, 2**13), "f4")
    fails(lambda: large.fit(one, np.zeros((1, 2**14), "f4"), verbose=0))
    assert len(large.optimizer.variables) == 2
    large.compile("sgd", "mse")
    assert large.predict(one, verbose=0).shape == (1, 2**14)
    print("usable")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS binds on Linux")
def test_what_does_not_fit_leaves_the_model_usable():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(LIMITED)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "usable", done.stderr[-2000:]
