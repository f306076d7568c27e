"""Variables: panel layout, values, gradients, arenas."""

import numpy as np
import pytest

from densa import _core
from densa._core import Arena, Variable, from_numpy


@pytest.mark.cpu_only("panels")
@pytest.mark.parametrize("rows", [0, 1, 2, 7, 33])
@pytest.mark.parametrize("cols", [0, 1, 15, 16, 17, 33])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_panel_round_trip(rows, cols, dtype):
    a = np.arange(rows * cols, dtype=dtype).reshape(rows, cols)
    v = Variable(a, name="kernel")
    assert v.layout == "panels"
    assert v._padded_size == rows * (-(-cols // 16) * 16)
    assert v._address % 64 == 0
    np.testing.assert_array_equal(v.numpy(), a)
    np.testing.assert_array_equal(v.value().numpy(), a)
    v.assign(from_numpy((a + 1).T.copy().T))  # column-major source
    np.testing.assert_array_equal(v.numpy(), a + 1)


def test_panels_are_columns_of_sixteen():
    a = np.arange(2 * 18, dtype=np.float32).reshape(2, 18)
    packed = _core.testing.pack_panels(a)
    assert packed.shape == (2, 2, 16)
    np.testing.assert_array_equal(packed[0], a[:, :16])
    np.testing.assert_array_equal(packed[1, :, :2], a[:, 16:])
    assert not packed[1, :, 2:].any()
    np.testing.assert_array_equal(_core.testing.pack_panels(a[::-1, ::-1])[0], a[::-1, :1:-1])


@pytest.mark.parametrize(
    "array",
    [np.float32(3), np.arange(5.0), np.zeros((2, 3, 4), np.float32), np.arange(6).reshape(2, 3)],
)
def test_other_variables_are_rows(array):
    v = Variable(array, name="v")
    assert v.layout == "rows"
    assert v._padded_size == -(-np.size(array) // 16) * 16
    np.testing.assert_array_equal(v.numpy(), array)


@pytest.mark.cpu_only("shared memory")
def test_rows_keeps_a_table_row_major_and_shares_it():
    a = np.arange(6, dtype=np.float32).reshape(3, 2)
    v = Variable(a, name="table", rows=True)
    assert v.layout == "rows"
    assert v.value().numpy().ctypes.data == v._address
    assert not v.value().numpy().flags.writeable
    y = (v.value() * v.value()).sum()
    v.assign(a + 1)
    with pytest.raises(RuntimeError, match="written to"):
        y.backward()


def test_other_values_are_snapshots():
    for a in (np.ones((2, 3), np.float32), np.ones(3, np.float32)):
        v = Variable(a)
        y = (v.value() * v.value()).sum()
        v.assign(a * 5)
        y.backward()
        np.testing.assert_array_equal(v.grad.numpy(), 2 * a)


def test_value_is_one_leaf_until_the_next_write():
    v = Variable(np.ones(3, np.float32), name="b")
    first = v.value()
    assert first._id == v.value()._id
    assert first.requires_grad
    version = v.version
    v.assign(np.zeros(3))
    assert v.version > version
    assert v.value()._id != first._id
    assert first.tolist() == [1, 1, 1]


def test_the_value_cannot_be_written_behind_the_variables_back():
    for a in (np.ones((2, 3), np.float32), np.ones(3, np.float32)):
        v = Variable(a)
        with pytest.raises(ValueError, match="read-only"):
            v.value().detach()[0] = 5.0


def test_gradient_lands_in_the_variable():
    v = Variable(np.array([[1.0, 2.0]], np.float32), name="kernel")
    _core.apply("sum", _core.apply("multiply", v, v)).backward()
    assert v.grad.tolist() == [[2, 4]]
    assert v.value().grad.tolist() == [[2, 4]]
    _core.apply("sum", v).backward()
    assert v.grad.tolist() == [[3, 5]]
    v.grad = None
    assert v.grad is None
    assert v.value().grad is None
    with pytest.raises(ValueError, match="kernel"):
        v.grad = from_numpy(np.ones(3, np.float32))


def test_frozen_and_integer_variables_get_no_gradient():
    v = Variable(np.ones(2, np.float32), trainable=False)
    assert not v.value().requires_grad
    v.trainable = True
    assert v.value().requires_grad
    assert not Variable(np.arange(3)).trainable


def test_assign_checks_the_shape_and_casts():
    v = Variable(np.zeros((2, 3), np.float32), name="w")
    v.assign(np.arange(6).reshape(2, 3))
    assert v.dtype == "float32"
    np.testing.assert_array_equal(v.numpy(), np.arange(6).reshape(2, 3))
    for bad in (np.zeros((3, 2)), np.zeros(6), 1.0):
        with pytest.raises(ValueError, match=r"'w' has shape \(2, 3\)"):
            v.assign(bad)
    np.testing.assert_array_equal(v.numpy(), np.arange(6).reshape(2, 3))
    scalar = Variable(np.float32(1))
    scalar.assign(2)
    assert scalar.numpy() == 2


def test_assign_from_its_own_value():
    table = Variable(np.arange(6, dtype=np.float32).reshape(3, 2), rows=True)
    table.assign(from_numpy(table.value().numpy()[::-1]))
    assert table.numpy().tolist() == [[4, 5], [2, 3], [0, 1]]


def test_numpy_is_a_read_only_copy():
    v = Variable(np.zeros((2, 2), np.float32))
    a = v.numpy()
    with pytest.raises(ValueError, match="read-only"):
        a[0, 0] = 1
    v.assign(np.ones((2, 2)))
    assert not a.any()


def test_arena():
    values = [np.arange(n, dtype=np.float32) for n in (3, 16, 17)]
    values.append(np.arange(12, dtype=np.float32).reshape(3, 4))
    variables = [Variable(a, name=f"v{i}") for i, a in enumerate(values)]
    old = variables[0].value()
    arena = Arena(variables)
    offset = 0
    for (variable, at, size), expected in zip(arena.slots, variables, strict=True):
        assert variable is expected
        assert at == offset
        assert size == variable._padded_size
        assert variable._address % 64 == 0
        assert variable._address == variables[0]._address + 4 * at
        offset += size
    assert arena.size == offset
    assert arena.holds_all
    for variable, a in zip(variables, values, strict=True):
        np.testing.assert_array_equal(variable.numpy(), a)
        variable.assign(a + 1)
    for variable, a in zip(variables, values, strict=True):
        np.testing.assert_array_equal(variable.numpy(), a + 1)
    np.testing.assert_array_equal(old.numpy(), values[0])
    Arena(variables[:1])
    assert not arena.holds_all


@pytest.mark.cpu_only("shared memory")
def test_arena_moves_tables():
    table = Variable(np.ones((3, 2), np.float32), rows=True)
    other = Variable(np.ones(3, np.float32))
    before = table.value()
    Arena([other, table])
    assert table.value()._id != before._id
    assert table.value().numpy().ctypes.data == table._address
    y = (table.value() * table.value()).sum()
    other.assign(np.zeros(3))  # a neighbour's write is not the table's
    y.backward()
    assert table.grad.tolist() == [[2, 2]] * 3


def test_arena_errors():
    a, b = Variable(np.ones(2, np.float32), name="a"), Variable(np.ones(2), name="b")
    with pytest.raises(ValueError, match="no variables"):
        Arena([])
    with pytest.raises(ValueError, match="twice"):
        Arena([a, a])
    with pytest.raises(ValueError, match="'b' is float64"):
        Arena([a, b])


def test_dead_variables_leave_their_values():
    v = Variable(np.ones(2, np.float32))
    x = v.value()
    del v
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2, 2]
