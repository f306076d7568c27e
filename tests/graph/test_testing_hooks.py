"""The hooks that time a plan's gather and products alone give a plan's numbers."""

import numpy as np
import pytest

from densa import _core


@pytest.fixture
def threads():
    before = _core.get_num_threads()
    yield lambda count: _core.set_num_threads(count, exact=True)
    _core.set_num_threads(before)


def products(rows, fan_in, fan_out):
    rng = np.random.default_rng(rows + fan_in + fan_out)
    shapes = ((rows, fan_in), (fan_in, fan_out), (rows, fan_out))
    operands = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    hook = _core.testing.Products(*operands)
    for run in (hook.forward, hook.dx, hook.dw):
        run()
        run()  # a second call does not add to the first
    x, w, dy = (a.astype(np.float64) for a in operands)
    found = {name: hook.result(name) for name in ("forward", "dx", "dw")}
    return found, {"forward": x @ w, "dx": dy @ w.T, "dw": x.T @ dy}


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (1, 784, 300), (32, 784, 300), (33, 17, 65), (64, 100, 100), (50, 40, 16)]
)
def test_products(shape, threads):
    before = None
    for count in (1, 2, 3):  # 3: more parts than panels, and tiles
        threads(count)
        found, expected = products(*shape)
        for name in expected:
            # Sums of up to 784 products of normal numbers in float32.
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=2e-4)
            if before is not None:
                np.testing.assert_array_equal(found[name], before[name])
        before = found


def test_products_refuse_what_does_not_fit():
    x, w, dy = np.ones((4, 3)), np.ones((3, 2)), np.ones((4, 2))
    for wrong in ((x, w.T, dy), (x, w, dy.T), (x[0], w, dy), (x[:0], w, dy[:0])):
        with pytest.raises(ValueError, match="expected x"):
            _core.testing.Products(*wrong)
    with pytest.raises(ValueError, match="expected forward, dx or dw"):
        _core.testing.Products(x, w, dy).result("db")


@pytest.mark.parametrize("cols", [1, 16, 50, 784])
@pytest.mark.parametrize("count", [1, 16, 37, 200])
def test_gather(cols, count, threads):
    rng = np.random.default_rng(cols)
    x = rng.integers(0, 256, (300, cols), dtype=np.uint8)
    rows = rng.permutation(300)[:count]
    for parts in (1, 2):
        threads(parts)
        gather = _core.testing.Gather(200, cols)
        gather(x, rows, 1 / 255)
        panels = gather.panels
        assert panels.shape == ((cols + 15) // 16, 200, 16)
        wide = panels.transpose(1, 0, 2).reshape(200, -1)
        expected = x[rows].astype(np.float64) / 255
        # The scale is rounded to float32, then the product is: one eps together.
        np.testing.assert_allclose(wide[:count, :cols], expected, rtol=1.2e-7)
        assert not wide[:, cols:].any()
        assert not wide[count:].any()


def test_gather_refuses_what_does_not_fit():
    gather = _core.testing.Gather(4, 3)
    x = np.zeros((5, 3), np.uint8)
    with pytest.raises(TypeError, match="expected uint8"):
        gather(x.astype(np.float32), np.arange(2))
    with pytest.raises(ValueError, match="must have 3 columns"):
        gather(np.zeros((5, 4), np.uint8), np.arange(2))
    with pytest.raises(ValueError, match="room for 4"):
        gather(x, np.arange(5))
    for row in (-1, 5):
        with pytest.raises(ValueError, match=f"row {row}, but x has 5"):
            gather(x, np.array([0, row]))
    for capacity in (0, -1):
        with pytest.raises(ValueError, match="must be positive"):
            _core.testing.Gather(capacity, 3)
