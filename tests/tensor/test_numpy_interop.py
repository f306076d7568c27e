"""NumPy's memory, protocols and functions."""

import copy
import pickle
import weakref

import numpy as np
import pytest

import densa
from densa import _core
from densa._core import Tensor, from_numpy

_DTYPES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64".split()


@pytest.mark.parametrize("dtype", _DTYPES)
def test_round_trip_shares_memory(dtype):
    a = np.arange(6).reshape(2, 3).astype(dtype)
    x = from_numpy(a)
    assert (x.dtype, x.shape, x.ndim, x.size) == (dtype, (2, 3), 2, 6)
    assert x.itemsize == a.itemsize
    assert x.nbytes == a.nbytes
    assert x.strides == a.strides
    for back in (x.numpy(), np.asarray(x), np.from_dlpack(x)):
        assert back.dtype == a.dtype
        assert np.shares_memory(back, a)
        np.testing.assert_array_equal(back, a)
    assert not np.shares_memory(from_numpy(a, copy=True).numpy(), a)


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a.T,
        lambda a: a[::2],
        lambda a: a[:, ::-1],
        lambda a: a[::-1, 1:3],
        lambda a: a[1],
        lambda a: a[1, 2],
        lambda a: a[:0],
        lambda a: np.broadcast_to(a[0], (3, 4)),
    ],
)
def test_strided_views_are_shared_and_computed_with(view):
    a = view(np.arange(12, dtype=np.float64).reshape(3, 4))
    x = from_numpy(np.asarray(a))
    np.testing.assert_array_equal(x.numpy(), a)
    np.testing.assert_array_equal((x + x).numpy(), a + a)
    if a.ndim and a.size:
        assert np.shares_memory(x.numpy(), a)


def test_layouts_that_need_a_copy():
    big = np.arange(3, dtype=">f4")
    assert from_numpy(big).tolist() == [0, 1, 2]
    record = np.zeros(3, dtype=[("a", "i1"), ("x", "<f4")])
    record["x"] = [1, 2, 3]
    assert from_numpy(record["x"]).tolist() == [1, 2, 3]


@pytest.mark.parametrize("bad", [np.zeros(2, complex), np.zeros(2, "U3"), np.zeros(2, object)])
def test_dtypes_without_storage(bad):
    with pytest.raises(TypeError, match="no tensors of dtype"):
        from_numpy(bad)


def test_from_numpy_wants_an_array():
    with pytest.raises(TypeError, match="expects a NumPy array"):
        from_numpy([1.0])
    with pytest.raises(TypeError, match="no constructor"):
        Tensor()


def test_read_only_memory_stays_read_only():
    a = np.zeros(3)
    a.flags.writeable = False
    assert not from_numpy(a).numpy().flags.writeable
    assert not np.asarray(from_numpy(a)).flags.writeable


def test_arrays_and_tensors_keep_the_memory_alive():
    a = np.arange(4.0)
    alive = weakref.ref(a)
    x = from_numpy(a)
    del a
    b = x.numpy()
    del x
    assert alive() is not None
    np.testing.assert_array_equal(b, [0, 1, 2, 3])
    del b
    assert alive() is None


def test_array_arguments():
    x = from_numpy(np.array([1.5, 2.5]))
    assert np.array(x, dtype=np.float32).dtype == np.float32
    assert not np.shares_memory(np.array(x), x.numpy())
    assert x.__array__(np.float32).dtype == np.float32
    assert not np.shares_memory(x.__array__(copy=True), x.numpy())
    with pytest.raises(ValueError, match="without a copy"):
        x.__array__(np.float32, copy=False)


def test_buffer_protocol():
    x = from_numpy(np.arange(6, dtype=np.int16).reshape(2, 3))
    view = memoryview(x)
    assert (view.shape, view.strides, view.format) == ((2, 3), (6, 2), "h")
    assert bytes(view) == x.numpy().tobytes()
    turned = from_numpy(np.arange(6.0).reshape(2, 3).T)
    assert memoryview(turned).tolist() == turned.tolist()


@pytest.mark.cpu_only("shared memory")
def test_asarray():
    a = np.arange(3.0)
    assert np.shares_memory(densa.asarray(a).numpy(), a)
    assert not np.shares_memory(densa.asarray(a, copy=True).numpy(), a)
    assert densa.asarray(a, "float32").dtype == "float32"
    assert densa.asarray([[1, 2], [3, 4]]).shape == (2, 2)
    with pytest.raises(ValueError, match="without a copy"):
        densa.asarray(a, "float32", copy=False)
    with pytest.raises(TypeError, match="str"):
        densa.asarray("a")


def test_pickle_and_copies():
    x = from_numpy(np.arange(6, dtype=np.float32).reshape(2, 3).T)
    x.requires_grad = True
    for again in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
        np.testing.assert_array_equal(again.numpy(), x.numpy())
        assert again.dtype == "float32"
        assert again.requires_grad
        assert not np.shares_memory(again.numpy(), x.numpy())


def test_ufuncs():
    a = np.array([[1.0, 2.0], [3.0, 4.0]])
    x = from_numpy(a)
    for got, expected in (
        (np.add(x, 1), a + 1),
        (np.exp(x), np.exp(a)),
        (a * x, a * a),
        (np.hypot(x, x), np.hypot(a, a)),
        (np.add.reduce(x), np.add.reduce(a)),
        (np.multiply.outer(x[0], x[1]), np.multiply.outer(a[0], a[1])),
    ):
        assert isinstance(got, Tensor)
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-12)


def test_ufunc_out_counts_as_a_write():
    x, y = from_numpy(np.ones(3)), from_numpy(np.zeros(3))
    before = y._version
    assert np.add(x, x, out=y) is y
    assert y.tolist() == [2, 2, 2]
    assert y._version > before


def test_ufuncs_are_differentiable():
    x = from_numpy(np.array([1.0, 2.0]))
    x.requires_grad = True
    np.sum(np.exp(x) * np.array([2.0, 3.0])).backward()
    np.testing.assert_allclose(x.grad.numpy(), [2, 3] * np.exp([1.0, 2.0]), rtol=1e-12)


@pytest.mark.parametrize(
    "f",
    [
        np.sum,
        np.mean,
        np.max,
        np.min,
        np.var,
        np.std,
        np.ravel,
        np.transpose,
        np.argmax,
        np.sort,
        np.cumsum,
        np.zeros_like,
        lambda x: np.sum(x, axis=0, keepdims=True),
        lambda x: np.mean(x, axis=(0, 1)),
        lambda x: np.reshape(x, (3, 2)),
        lambda x: np.reshape(x, (2, 3), order="F"),
        lambda x: np.concatenate([x, x], axis=1),
        lambda x: np.concatenate([x, x], axis=None),
        lambda x: np.stack([x, x]),
        lambda x: np.vstack([x, x]),
        lambda x: np.squeeze(np.expand_dims(x, 1)),
        lambda x: np.swapaxes(x, 0, 1),
        lambda x: np.broadcast_to(x, (2, 2, 3)),
        lambda x: np.where(x > 1, x, 0.0),
        lambda x: np.clip(x, 1, 3),
        lambda x: np.dot(x, np.ones(3)),
        lambda x: x @ np.ones((3, 2)),
        lambda x: np.linalg.norm(x, axis=1),
    ],
)
def test_functions_agree_with_numpy(f):
    a = np.array([[0.5, 3.0, 1.0], [2.0, -1.0, 4.0]])
    got = f(from_numpy(a))
    assert isinstance(got, Tensor)
    np.testing.assert_allclose(got.numpy(), f(a), rtol=1e-12)


def _needs_grad(*values):
    x = from_numpy(np.array(values))
    x.requires_grad = True
    return x


@pytest.mark.parametrize(
    ("name", "f"),
    [
        ("sort", np.sort),
        ("cumsum", np.cumsum),
        ("hypot", lambda x: np.hypot(1.0, x)),
        ("add.reduce", np.add.reduce),
        ("exp", lambda x: np.exp(x, dtype=np.float64)),
        ("norm", np.linalg.norm),
        ("vstack", lambda x: np.vstack([np.zeros(3), [x][0]])),
        ("nan_to_num", lambda x: np.nan_to_num(x=x)),
        ("modf", np.modf),
    ],
)
def test_a_lost_gradient_is_an_error(name, f):
    x = _needs_grad(0.5, 3.0, 1.0)
    with pytest.raises(TypeError, match=rf"numpy\.{name} .*densa\.ops.*detach.*no_grad"):
        f(x)
    expected = f(np.array([0.5, 3.0, 1.0]))
    with densa.no_grad():
        np.testing.assert_array_equal(np.asarray(f(x)), expected)
    np.testing.assert_array_equal(np.asarray(f(x.detach())), expected)


def test_a_lost_gradient_is_an_error_before_out_is_written():
    x, a = _needs_grad(1.0, 2.0), np.zeros(2)
    with pytest.raises(TypeError, match="numpy.add "):
        np.add(x, 1.0, out=a)
    assert a.tolist() == [0, 0]


def test_a_trainable_variable_counts_as_well():
    v = densa.Variable([3.0, 4.0])
    with pytest.raises(TypeError, match="numpy.hypot"):
        np.hypot(from_numpy(np.ones(2)), v)


@pytest.mark.parametrize(
    "f",
    [
        np.argsort,
        np.array_equal,
        lambda x, *_: np.trunc(x),
        lambda x, *_: np.round(x, 1),
        lambda x, *_: np.zeros_like(x),
        lambda x, *_: np.empty_like(x, dtype="int32") * 0,
        lambda x, *_: np.isclose(x, 1.0),
        lambda x, *_: np.searchsorted(x, 1.0),
        lambda x, *_: np.count_nonzero(x),
        lambda x, *_: np.array2string(x),
    ],
)
def test_results_without_a_gradient_need_none(f):
    x = _needs_grad(0.5, 1.0, 3.0)
    args = (x, x) if f is np.array_equal else (x,)
    plain = tuple(np.asarray(a) for a in args)
    assert np.array_equal(f(*args), f(*plain))
    assert np.shares_memory(np.asarray(x), x.numpy())


def test_functions_that_give_no_array():
    x = from_numpy(np.ones((2, 3)))
    assert np.shape(x) == (2, 3)
    assert np.ndim(x) == 2
    assert np.array_equal(x, x) is True
    assert np.allclose(x, 1.0) is True


def test_python_protocols():
    x = from_numpy(np.array([1.5, 2.5]))
    assert len(x) == 2
    assert [float(v) for v in x] == [1.5, 2.5]
    assert 2.5 in x
    assert float(x[0]) == 1.5
    assert int(x[1]) == 2
    assert f"{x[0]:.2f}" == "1.50"
    assert [10, 20, 30][from_numpy(np.array(1))] == 20
    assert repr(x) == "Tensor([1.5, 2.5], dtype=float64)"
    assert hash(x) == hash(x)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(x)
    with pytest.raises(TypeError, match="no length"):
        len(x[0])
    with pytest.raises(TypeError, match="index"):
        [1, 2][x[0]]
    with pytest.raises(ValueError, match="one element"):
        x.item()


def test_other_types_come_first_where_they_ask_for_it():
    class Other:
        __array_ufunc__ = None

        def __radd__(self, other):
            return "mine"

        def __rmatmul__(self, other):
            return "mine"

    x = from_numpy(np.ones(2))
    assert x + Other() == "mine"
    assert x @ Other() == "mine"
    with pytest.raises(TypeError):
        x + object()
    assert (x == object()) is False


def test_setitem_writes_and_counts():
    a = np.zeros((2, 3))
    x = from_numpy(a)
    before = x._version
    x[0, 1:] = from_numpy(np.array([1.0, 2.0]))
    assert a.tolist() == [[0, 1, 2], [0, 0, 0]]
    assert x._version == before + 1
    x.requires_grad = True
    with pytest.raises(ValueError, match=r"ops\.where"):
        x[0] = 1.0


def test_attributes_from_numpy_scalars():
    x = from_numpy(np.arange(6.0).reshape(2, 3))
    assert _core.apply("sum", x, axis=np.int64(1)).tolist() == [3, 12]
    assert _core.apply("cast", x, dtype=np.float32).dtype == "float32"
    with pytest.raises(TypeError, match="axis"):
        _core.apply("sum", x, axis=[0.5])


@pytest.mark.parametrize(
    "reshape",
    [
        lambda x, shape: x.reshape(shape),
        lambda x, shape: x.reshape(*shape),
        lambda x, shape: np.reshape(x, shape),
        lambda x, shape: densa.ops.reshape(x, shape),
    ],
)
def test_reshape_finds_out_one_size_only(reshape):
    x = from_numpy(np.arange(12.0))
    assert reshape(x, (-1, 4)).shape == (3, 4)
    for shape in ((-1, -1), (-1, 2, -1)):
        with pytest.raises(ValueError, match=rf"only one size may be -1.*\({shape[0]}, .*numbers"):
            reshape(x, shape)
    with pytest.raises(ValueError, match=r"\(12,\) cannot become \(-1, 5\)"):
        reshape(x, (-1, 5))


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("round", (1,)),
        ("cumsum", (1,)),
        ("cumprod", (0,)),
        ("argsort", (1,)),
        ("take", ([2, 0], 1)),
        ("repeat", (2, 0)),
        ("diagonal", ()),
        ("trace", ()),
    ],
)
def test_more_methods_of_arrays(method, arguments):
    x = np.random.default_rng(8).normal(size=(3, 4)).astype("f4")
    found = getattr(densa.asarray(x), method)(*arguments)
    np.testing.assert_array_equal(found, getattr(x, method)(*arguments))


# ---- DLPack on the CPU ---------------------------------------------------------------------------


@pytest.mark.cpu_only("a GPU's memory is in tests/cuda/test_sharing.py")
class TestDlpack:
    def test_from_dlpack_shares(self):
        a = np.arange(6.0).reshape(2, 3)
        x = densa.from_dlpack(a.T)
        assert (x.shape, x.dtype, x.device) == ((3, 2), "float64", "cpu")
        a[0, 1] = 9
        assert x.tolist() == [[0, 3], [9, 4], [2, 5]]
        again = densa.from_dlpack(x)
        assert np.shares_memory(again.numpy(), a)
        again[0, 0] = 7
        assert a[0, 0] == 7

    def test_what_has_no_dlpack(self):
        for wrong in (3, [1.0], None):
            with pytest.raises(TypeError, match=f"{type(wrong).__name__} has no __dlpack__"):
                densa.from_dlpack(wrong)

    def test_read_only(self):
        a = np.ones(3)
        a.flags.writeable = False
        x = densa.asarray(a)
        with pytest.raises(BufferError, match="read-only"):
            x.__dlpack__()
        if np.lib.NumpyVersion(np.__version__) >= "2.1.0":  # before, it asks for version 0
            assert not np.from_dlpack(x).flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            densa.from_dlpack(x)[0] = 2.0

    def test_copies(self):
        a = np.ones(3)
        x = densa.asarray(a)

        class Copied:
            def __dlpack__(self, **options):
                return x.__dlpack__(copy=True)

            def __dlpack_device__(self):
                return x.__dlpack_device__()

        copied = np.from_dlpack(Copied())
        assert copied.tolist() == [1, 1, 1]
        assert not np.shares_memory(copied, a)
        for options in ({"copy": False}, {"dl_device": (1, 0)}, {"stream": None}):
            assert "dltensor" in repr(x.__dlpack__(**options))
        with pytest.raises(BufferError, match="got dl_device=\\(2, 0\\)"):
            x.__dlpack__(dl_device=(2, 0))
