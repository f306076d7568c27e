"""Memory of a GPU that densa shares with other libraries: DLPack, __cuda_array_interface__."""

import ctypes
import gc

import numpy as np
import pytest

import densa
from densa import _core

CPU, CUDA = (1, 0), (2, 0)
READ_ONLY, COPIED = 1, 2


@pytest.fixture(autouse=True)
def gpu():
    before = densa.get_device()
    try:
        densa.set_device("cuda")
    except RuntimeError as error:
        pytest.skip(f"no GPU: {error}")
    yield
    densa.set_device(before)


def numbers():
    return densa.asarray(np.arange(12, dtype="f4").reshape(3, 4)).to("cuda")


def kernel():
    """A layer's variable, whose memory is not for others to write."""
    layer = densa.layers.Dense(2)
    layer(np.ones((1, 3), "f4"))
    return layer.kernel


class Capsule(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
    ]


def content(capsule):
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return Capsule.from_address(get(capsule, b"dltensor_versioned"))


class Array:
    """Another library's array: knows only DLPack, by functions that it is given."""

    def __init__(self, capsules, device=CUDA):
        self.asked, self.capsules, self.device = [], capsules, device

    def __dlpack__(self, **options):
        self.asked.append(options)
        return self.capsules(**options)

    def __dlpack_device__(self):
        return self.device


class InterfaceArray:
    """Another library's array: knows only the CUDA array interface."""

    def __init__(self, interface):
        self.__cuda_array_interface__ = interface


# ---- DLPack --------------------------------------------------------------------------------------


def test_read_only_survives_a_round_trip():
    w = kernel()
    before = w.numpy().copy()
    x = densa.from_dlpack(w.value.detach())
    assert x.device == "cuda:0"
    np.testing.assert_array_equal(x.to("cpu").numpy(), before)
    with pytest.raises(ValueError, match="read-only"):
        x[...] = 0.0
    np.testing.assert_array_equal(w.numpy(), before)
    with pytest.raises(ValueError, match="read-only"):  # and the next one
        densa.from_dlpack(x)[...] = 0.0


def test_what_may_be_written_still_may():
    x = numbers()
    y = densa.from_dlpack(x)
    y[0] = 7.0
    assert x.to("cpu").numpy()[0].tolist() == [7.0] * 4


def test_read_only_needs_a_consumer_that_knows():
    x = kernel().value.detach()
    for options in [{}, {"max_version": None}, {"max_version": (0, 8)}, {"stream": 1}]:
        with pytest.raises(BufferError, match=r"read-only.*max_version=\(1, 0\)"):
            x.__dlpack__(**options)
    capsule = x.__dlpack__(max_version=(1, 0))
    assert content(capsule).flags == READ_ONLY
    assert content(numbers().__dlpack__(max_version=(2, 3))).flags == 0
    assert "dltensor_versioned" not in repr(numbers().__dlpack__())
    # A copy is the consumer's own.
    copied = densa.from_dlpack(Array(lambda **_: x.__dlpack__(copy=True)))
    copied[...] = 0.0
    assert np.abs(x.to("cpu").numpy()).max() > 0


def test_import_asks_for_the_version_and_takes_an_older_producer():
    new = Array(lambda *, stream, max_version: numbers().__dlpack__(max_version=max_version))
    assert densa.from_dlpack(new).shape == (3, 4)
    assert new.asked[0]["max_version"] == (1, 0)
    old = Array(lambda *, stream: numbers().__dlpack__())
    assert densa.from_dlpack(old).shape == (3, 4)
    assert [sorted(options) for options in old.asked] == [["max_version", "stream"], ["stream"]]

    def broken(**options):
        raise TypeError("of its own")

    with pytest.raises(TypeError, match="of its own"):
        densa.from_dlpack(Array(broken))


def test_a_later_version_is_refused():
    capsule = numbers().__dlpack__(max_version=(1, 0))
    content(capsule).major = 2
    with pytest.raises(BufferError, match=r"by version 2\.\d+ of DLPack; densa knows 1"):
        _core.from_dlpack(capsule)


def test_copies():
    x = numbers().T
    capsule = x.__dlpack__(max_version=(1, 0), copy=True)
    assert content(capsule).flags == COPIED
    assert tuple(content(capsule).device) == CUDA
    assert content(capsule).data != x.__cuda_array_interface__["data"][0]
    y = _core.from_dlpack(capsule)
    y[...] = 0.0
    assert x.to("cpu").numpy().sum() == 66
    for copy in (None, False):
        shared = x.__dlpack__(max_version=(1, 0), copy=copy, dl_device=CUDA)
        assert content(shared).data == x.__cuda_array_interface__["data"][0]
        assert content(shared).flags == 0


def test_to_the_cpu():
    x = numbers().T
    for options in [{}, {"copy": True}]:
        capsule = x.__dlpack__(max_version=(1, 0), dl_device=CPU, **options)
        assert content(capsule).flags == COPIED
        assert tuple(content(capsule).device) == CPU
        if np.lib.NumpyVersion(np.__version__) < "2.1.0":
            continue  # cannot read version 1
        array = Array(lambda capsule=capsule, **_: capsule, device=CPU)
        np.testing.assert_array_equal(np.from_dlpack(array), x.to("cpu").numpy())
    with pytest.raises(BufferError, match="reaches the CPU by a copy"):
        x.__dlpack__(dl_device=CPU, copy=False)
    for device in [(2, 1), (10, 0), (1, 1)]:
        with pytest.raises(BufferError, match="is exported there or to the CPU"):
            x.__dlpack__(dl_device=device)


def test_numpy_asks_for_the_cpu():
    if np.lib.NumpyVersion(np.__version__) < "2.1.0":
        pytest.skip("this NumPy cannot ask")
    array = np.from_dlpack(numbers(), device="cpu")
    np.testing.assert_array_equal(array, np.arange(12, dtype="f4").reshape(3, 4))


def test_memory_lives_as_long_as_its_reader():
    x = densa.from_dlpack(numbers())
    gc.collect()
    kept = [densa.ops.zeros((3, 4)) for _ in range(4)]
    assert x.to("cpu").numpy().sum() == 66
    assert len(kept) == 4


# ---- __cuda_array_interface__ --------------------------------------------------------------------


def interface(x, **changes):
    return {**x.__cuda_array_interface__, **changes}


def test_asarray_shares():
    x = numbers()
    y = densa.asarray(InterfaceArray(interface(x)))
    assert (y.device, y.dtype, y.shape) == ("cuda:0", "float32", (3, 4))
    y[1] = 9.0
    assert x.to("cpu").numpy()[1].tolist() == [9.0] * 4
    assert densa.asarray(InterfaceArray(interface(x)), copy=False).shape == (3, 4)
    z = densa.asarray(InterfaceArray(interface(x)), copy=True)
    z[...] = 0.0
    assert x.to("cpu").numpy()[1].tolist() == [9.0] * 4
    wide = densa.asarray(InterfaceArray(interface(x)), "float64")
    assert (wide.dtype, wide.device) == ("float64", "cuda:0")
    with pytest.raises(ValueError, match="without a copy"):
        densa.asarray(InterfaceArray(interface(x)), "float64", copy=False)


def test_ops_take_it_and_keep_its_owner():
    class Owner:
        def __init__(self):
            self.x = numbers()
            self.__cuda_array_interface__ = interface(self.x)

    assert float(densa.ops.sum(Owner())) == 66
    y = densa.asarray(Owner())
    gc.collect()
    kept = [densa.ops.zeros((3, 4)) for _ in range(4)]
    assert y.to("cpu").numpy().sum() == 66
    assert len(kept) == 4


@pytest.mark.parametrize("dtype", "bool int8 int64 uint8 uint32 float16 float32 float64".split())
def test_dtypes_and_strides(dtype):
    x = densa.ops.cast(numbers(), dtype)
    step = np.dtype(dtype).itemsize
    y = densa.asarray(InterfaceArray(interface(x, shape=(4, 3), strides=(step, 4 * step))))
    assert y.dtype == dtype
    np.testing.assert_array_equal(y.to("cpu").numpy(), x.to("cpu").numpy().T)


def test_read_only_is_kept():
    x = kernel().value.detach()
    assert x.__cuda_array_interface__["data"][1]
    y = densa.asarray(InterfaceArray(interface(x)))
    with pytest.raises(ValueError, match="read-only"):
        y[...] = 0.0
    x = numbers()
    z = densa.asarray(InterfaceArray(interface(x, data=(x.__cuda_array_interface__["data"][0], 1))))
    with pytest.raises(ValueError, match="read-only"):
        z[0] = 1.0


def test_empty():
    y = densa.asarray(InterfaceArray(interface(densa.ops.zeros((0, 3)).to("cuda"))))
    assert (y.shape, y.device) == ((0, 3), "cuda:0")


def test_bad_interfaces():
    x = numbers()
    address = x.__cuda_array_interface__["data"][0]
    host = np.zeros(12, "f4")
    for changes, error, message in [
        ({"typestr": ">f4"}, TypeError, "byte order"),
        ({"typestr": "<c8"}, TypeError, "complex64"),
        ({"strides": (4,)}, ValueError, "1 strides for 2 axes"),
        ({"strides": (16, 3)}, ValueError, "multiples of their size"),
        ({"data": (address + 1, False)}, ValueError, "multiples of their size"),
        ({"data": (host.ctypes.data, False)}, ValueError, "no memory of a GPU"),
        ({"stream": 0}, ValueError, "stream 0"),
        ({"mask": x}, TypeError, "masked"),
    ]:
        with pytest.raises(error, match=message):
            densa.asarray(InterfaceArray(interface(x, **changes)))
