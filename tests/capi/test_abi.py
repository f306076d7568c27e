"""The C ABI: the answers of Predictor, and a code with a message for everything that is wrong."""

import ctypes
import re
import shutil
import subprocess
from ctypes import byref, c_int32, c_int64, c_size_t, c_uint64, c_void_p

import numpy as np
import pytest

import densa
from predict_nets import NETS, data_for, move_weights

CODES = {
    name: number
    for number, name in enumerate(
        "OK INVALID_ARGUMENT CANNOT_READ BAD_FILE LIMIT OUT_OF_MEMORY BAD_INPUT INTERNAL".split()
    )
}
DTYPES = dict(
    enumerate(
        "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 bfloat16 float32 "
        "float64".split(),
        1,
    )
)


class LoadOptions(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("in_place", c_int32),
        ("skip_sum", c_int32),
        ("most_bytes", c_uint64),
    ]


class SessionOptions(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("max_rows", c_int64),
        ("threads", c_int32),
        ("reserved", c_int32),
    ]


class TensorInfo(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("name", ctypes.c_char_p),
        ("dtype", c_int32),
        ("rank", c_int32),
        ("shape", c_int64 * 8),
        ("row_bytes", c_size_t),
    ]


def load_options(**members):
    return LoadOptions(ctypes.sizeof(LoadOptions), **members)


def session_options(max_rows=1024, threads=1, reserved=0):
    return SessionOptions(ctypes.sizeof(SessionOptions), max_rows, threads, reserved)


def expect(c, status, code, text=""):
    message = c.densa_last_error().decode()
    assert status == CODES[code], message
    if code != "OK":
        assert re.search(text, message), message


@pytest.fixture
def load(c):
    """Models from files or bytes, freed in the end."""
    models = []

    def load(source, options=None):
        model = c_void_p()
        given = None if options is None else byref(options)
        if isinstance(source, bytes):
            status = c.densa_model_load_memory(source, c_size_t(len(source)), given, byref(model))
        else:
            status = c.densa_model_load(str(source).encode(), given, byref(model))
        expect(c, status, "OK")
        models.append(model)
        return model

    yield load
    for model in models:
        c.densa_model_free(model)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Predictor and path of each kind of network."""
    folder = tmp_path_factory.mktemp("nets")
    made = {}
    for net in NETS:
        model = net()
        move_weights(model)
        predictor = model.freeze()
        predictor.save(folder / f"{net.__name__}.densa")
        made[net.__name__] = predictor, folder / f"{net.__name__}.densa"
    return made


@pytest.fixture(params=[net.__name__ for net in NETS])
def net(request, saved):
    return saved[request.param]


def pointers(arrays):
    return (c_void_p * len(arrays))(*[a.ctypes.data for a in arrays])


def outputs_for(predictor, rows):
    return [np.full((rows, *s.shape[1:]), -7, s.dtype) for s in predictor.outputs]


# ---- answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("rows", [0, 1, 5, 16, 70, 300])
def test_the_bits_of_python(c, load, net, rows, threads):
    predictor, path = net
    model = load(path)
    x, y = data_for(predictor, rows), outputs_for(predictor, rows)
    session = c_void_p()
    options = session_options(300, threads)
    expect(c, c.densa_session_create(model, byref(options), byref(session)), "OK")
    expect(c, c.densa_run(session, pointers(x), pointers(y), c_int64(rows)), "OK")
    c.densa_session_free(session)
    for got, wanted in zip(y, predictor.run(x), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_scratch_of_the_caller(c, load, net):
    predictor, path = net
    model = load(path)
    for rows in (1, 33):
        x, y = data_for(predictor, rows), outputs_for(predictor, rows)
        size = c_size_t()
        expect(c, c.densa_scratch_bytes(model, c_int64(rows), byref(size)), "OK")
        scratch = ctypes.create_string_buffer(size.value)
        arguments = (model, pointers(x), pointers(y), c_int64(rows), scratch)
        expect(c, c.densa_run_with_scratch(*arguments, size), "OK")
        for got, wanted in zip(y, predictor.run(x), strict=True):
            np.testing.assert_array_equal(got, wanted)
        status = c.densa_run_with_scratch(*arguments, c_size_t(size.value - 1))
        expect(c, status, "INVALID_ARGUMENT", f"need {size.value}")


@pytest.mark.parametrize("in_place", [0, 1])
@pytest.mark.parametrize("skip_sum", [0, 1])
def test_ways_to_load(c, load, saved, in_place, skip_sum):
    predictor, path = saved["wide_net"]
    model = load(path, load_options(in_place=in_place, skip_sum=skip_sum))
    x, y = data_for(predictor, 4), outputs_for(predictor, 4)
    session = c_void_p()
    expect(c, c.densa_session_create(model, None, byref(session)), "OK")
    c.densa_model_free(model)  # the session keeps what it needs
    model.value = None
    expect(c, c.densa_run(session, pointers(x), pointers(y), c_int64(4)), "OK")
    c.densa_session_free(session)
    for got, wanted in zip(y, predictor.run(x), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_from_memory(c, load, saved):
    path = saved["dense_net"][1]
    data = path.read_bytes()
    load(data)
    buffer = ctypes.create_string_buffer(len(data) + 64)
    at = -ctypes.addressof(buffer) % 64
    ctypes.memmove(ctypes.addressof(buffer) + at, data, len(data))
    model, options = c_void_p(), load_options(in_place=1)
    for shift, code in [(0, "OK"), (1, "INVALID_ARGUMENT")]:
        start = c_void_p(ctypes.addressof(buffer) + at + shift)
        status = c.densa_model_load_memory(start, c_size_t(len(data)), byref(options), byref(model))
        expect(c, status, code, "aligned to 64")
        assert (model.value is None) == (code != "OK")
        c.densa_model_free(model)


def test_what_a_model_takes_and_gives(c, load, net):
    predictor, path = net
    model = load(path)
    for specs, count, describe in [
        (predictor.inputs, c.densa_model_inputs, c.densa_model_input),
        (predictor.outputs, c.densa_model_outputs, c.densa_model_output),
    ]:
        assert count(model) == len(specs)
        for i, spec in enumerate(specs):
            info = TensorInfo(ctypes.sizeof(TensorInfo))
            expect(c, describe(model, c_size_t(i), byref(info)), "OK")
            assert info.name.decode() == spec.name
            assert DTYPES[info.dtype] == spec.dtype
            shape = tuple(info.shape[: info.rank])
            assert shape == (-1, *spec.shape[1:])
            assert list(info.shape[info.rank :]) == [0] * (8 - info.rank)
            items = int(np.prod(spec.shape[1:], dtype=int))
            assert info.row_bytes == items * np.dtype(spec.dtype).itemsize
        status = describe(model, c_size_t(len(specs)), byref(info))
        expect(c, status, "INVALID_ARGUMENT", "index")


# ---- refusals ------------------------------------------------------------------------------------


def test_versions_and_codes(c):
    assert c.densa_abi_version() == 1
    assert c.densa_version().decode() == densa.__version__
    for name, number in CODES.items():
        assert c.densa_status_name(number).decode() == f"DENSA_{name}"
    assert c.densa_status_name(99) == b"unknown"


def test_null(c, load, saved):
    path = saved["dense_net"][1]
    model, session, size = load(path), c_void_p(), c_size_t()
    other, info = c_void_p(), TensorInfo(ctypes.sizeof(TensorInfo))
    name = str(path).encode()
    for call, text in [
        (lambda: c.densa_model_load(None, None, byref(other)), "path is NULL"),
        (lambda: c.densa_model_load(name, None, None), "model is NULL"),
        (lambda: c.densa_model_load_memory(None, c_size_t(9), None, byref(other)), "data is NULL"),
        (lambda: c.densa_model_load_memory(b"x", c_size_t(1), None, None), "model is NULL"),
        (lambda: c.densa_model_input(None, c_size_t(0), byref(info)), "model is NULL"),
        (lambda: c.densa_model_output(model, c_size_t(0), None), "info is NULL"),
        (lambda: c.densa_session_create(None, None, byref(session)), "model is NULL"),
        (lambda: c.densa_session_create(model, None, None), "session is NULL"),
        (lambda: c.densa_run(None, None, None, c_int64(0)), "session is NULL"),
        (lambda: c.densa_scratch_bytes(None, c_int64(1), byref(size)), "model is NULL"),
        (lambda: c.densa_scratch_bytes(model, c_int64(1), None), "bytes is NULL"),
        (
            lambda: c.densa_run_with_scratch(None, None, None, c_int64(1), None, c_size_t(0)),
            "is NULL",
        ),
    ]:
        expect(c, call(), "INVALID_ARGUMENT", text)
    assert c.densa_model_inputs(None) == c.densa_model_outputs(None) == 0
    c.densa_model_free(None)
    c.densa_session_free(None)


def test_arguments_of_a_call(c, load, saved):
    predictor, path = saved["wide_net"]
    model = load(path)
    x, y = data_for(predictor, 4), outputs_for(predictor, 4)
    session, options = c_void_p(), session_options(4)
    expect(c, c.densa_session_create(model, byref(options), byref(session)), "OK")
    none = (c_void_p * 2)(x[0].ctypes.data, None)
    odd = (c_void_p * 2)(x[0].ctypes.data + 1, x[1].ctypes.data)
    for ins, outs, rows, text in [
        (pointers(x), pointers(y), 5, "made for 4"),
        (pointers(x), pointers(y), -1, "-1 rows"),
        (pointers(x), pointers(y), 2**62, "made for 4"),
        (None, pointers(y), 4, "inputs is NULL"),
        (pointers(x), None, 4, "outputs is NULL"),
        (none, pointers(y), 4, r"'\w+' \(1\) is NULL"),
        (odd, pointers(y), 4, "aligned to 4"),
        (pointers(x), none, 4, r"output '\w+' \(1\) is NULL"),
    ]:
        status = c.densa_run(session, ins, outs, c_int64(rows))
        expect(c, status, "INVALID_ARGUMENT", text)
    assert all((a == -7).all() for a in y)
    status = c.densa_run_with_scratch(
        model, pointers(x), pointers(y), c_int64(2**62), c_void_p(1), c_size_t(2**63)
    )
    expect(c, status, "INVALID_ARGUMENT", "can be computed")
    for rows in (-1, 2**62):
        status = c.densa_scratch_bytes(model, c_int64(rows), byref(c_size_t()))
        expect(c, status, "INVALID_ARGUMENT", "rows")
    c.densa_session_free(session)


def test_arrays_in_the_scratch_memory(c, load, saved):
    predictor, path = saved["wide_net"]
    model, bytes_ = load(path), c_size_t()
    x, y = data_for(predictor, 4), outputs_for(predictor, 4)
    expect(c, c.densa_scratch_bytes(model, c_int64(4), byref(bytes_)), "OK")
    scratch = np.zeros(bytes_.value + 4096, "uint8")
    inside = scratch.ctypes.data + (-scratch.ctypes.data) % 64 + 64
    for what, ins, outs in [
        ("input", (inside, x[1].ctypes.data), [a.ctypes.data for a in y]),
        ("output", [a.ctypes.data for a in x], (y[0].ctypes.data, inside)),
    ]:
        status = c.densa_run_with_scratch(
            model,
            (c_void_p * 2)(*ins),
            (c_void_p * 2)(*outs),
            c_int64(4),
            c_void_p(scratch.ctypes.data),
            bytes_,
        )
        expect(c, status, "INVALID_ARGUMENT", f"{what} .* lies in the scratch memory")
    assert not scratch.any()


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_memory_that_is_shared(c, load, saved, rows):
    """Inputs may be the same; an output is like nothing else, with a session and without."""
    predictor, path = saved["wide_net"]
    model = load(path)
    x, y = data_for(predictor, rows), outputs_for(predictor, rows)
    session, options = c_void_p(), session_options(max(rows, 1))
    expect(c, c.densa_session_create(model, byref(options), byref(session)), "OK")
    bytes_ = c_size_t()
    expect(c, c.densa_scratch_bytes(model, c_int64(rows), byref(bytes_)), "OK")
    scratch = np.empty(bytes_.value, "uint8")

    def call(outputs):
        outs = (c_void_p * 2)(*outputs)
        yield c.densa_run(session, pointers(x), outs, c_int64(rows))
        yield c.densa_run_with_scratch(
            model, pointers(x), outs, c_int64(rows), c_void_p(scratch.ctypes.data), bytes_
        )

    kept = [a.copy() for a in (*x, *y)]
    first, second, ids, numbers = (a.ctypes.data for a in (*y, *x))
    assert [s.name for s in predictor.inputs] == ["ids", "numbers"]
    for outputs, text in [
        ((first, first), r"output 'risk' \(1\) shares memory with output 'scores' \(0\)"),
        ((first, first + 8), r"output 'risk' \(1\) shares memory with output 'scores' \(0\)"),
        ((numbers, second), r"output 'scores' \(0\) shares memory with input 'numbers' \(1\)"),
        ((first, ids + 4), r"output 'risk' \(1\) shares memory with input 'ids' \(0\)"),
    ]:
        for status in call(outputs):
            expect(c, status, "INVALID_ARGUMENT" if rows else "OK", text)
    for a, b in zip((*x, *y), kept, strict=True):
        np.testing.assert_array_equal(a, b)
    both = np.empty(4 * rows, "float32")  # side by side
    for status in call((both.ctypes.data, both.ctypes.data + 12 * rows)):
        expect(c, status, "OK")
        wanted = predictor.run(x)
        np.testing.assert_array_equal(both[: 3 * rows].reshape(rows, 3), wanted[0])
        np.testing.assert_array_equal(both[3 * rows :].reshape(rows, 1), wanted[1])
    c.densa_session_free(session)


def test_ids_out_of_range(c, load, saved):
    predictor, path = saved["wide_net"]
    model = load(path)
    x, y = data_for(predictor, 4), outputs_for(predictor, 4)
    (ids,) = [a for a in x if a.dtype == "int32"]
    ids[2, 1] = 11
    for threads in (1, 2):
        session, options = c_void_p(), session_options(threads=threads)
        expect(c, c.densa_session_create(model, byref(options), byref(session)), "OK")
        status = c.densa_run(session, pointers(x), pointers(y), c_int64(4))
        expect(c, status, "BAD_INPUT", "11")
        c.densa_session_free(session)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (load_options(in_place=2), "flag is 2"),
        (load_options(skip_sum=-1), "flag is -1"),
        (LoadOptions(0), "struct_size is 0"),
        (LoadOptions(8), "struct_size is 8"),
        (LoadOptions(2**60), "struct_size"),
    ],
)
def test_options_of_load(c, saved, options, text):
    model = c_void_p()
    status = c.densa_model_load(str(saved["dense_net"][1]).encode(), byref(options), byref(model))
    expect(c, status, "INVALID_ARGUMENT", text)


def test_options_of_a_session(c, load, saved):
    model, session = load(saved["dense_net"][1]), c_void_p()
    for options, text in [
        (session_options(0), "max_rows is 0"),
        (session_options(-5), "max_rows is -5"),
        (session_options(2**62), "max_rows"),
        (session_options(threads=0), "threads is 0"),
        (session_options(threads=257), "threads is 257"),
        (session_options(reserved=1), "reserved"),
        (SessionOptions(12), "struct_size is 12"),
    ]:
        status = c.densa_session_create(model, byref(options), byref(session))
        expect(c, status, "INVALID_ARGUMENT", text)
        assert session.value is None


def test_options_of_a_later_version(c, saved):
    """What it does not know must be zero; then it goes by what it knows."""

    class Later(ctypes.Structure):
        _fields_ = [*LoadOptions._fields_, ("more", c_uint64)]

    name, model = str(saved["dense_net"][1]).encode(), c_void_p()
    options = Later(ctypes.sizeof(Later), 1, 0, 0, 0)
    expect(c, c.densa_model_load(name, byref(options), byref(model)), "OK")
    c.densa_model_free(model)
    options.more = 1 << 56
    status = c.densa_model_load(name, byref(options), byref(model))
    expect(c, status, "INVALID_ARGUMENT", "does not know")


def test_broken_files(c, saved, tmp_path):
    data, model = saved["dense_net"][1].read_bytes(), c_void_p(1)
    path = tmp_path / "broken.densa"
    for broken in (b"", data[:-1], data + b"\0", data[:-1] + bytes([data[-1] ^ 1]), b"x" * 999):
        path.write_bytes(broken)
        for in_place in (0, 1):
            options = load_options(in_place=in_place)
            status = c.densa_model_load(str(path).encode(), byref(options), byref(model))
            expect(c, status, "BAD_FILE", "broken.densa: not a predictor")
            assert model.value is None
        status = c.densa_model_load_memory(broken, c_size_t(len(broken)), None, byref(model))
        expect(c, status, "BAD_FILE", "not a predictor")
    for missing, text in [(tmp_path / "no.densa", "no.densa: cannot"), (tmp_path, "not a file")]:
        status = c.densa_model_load(str(missing).encode(), None, byref(model))
        expect(c, status, "CANNOT_READ", text)
    options = load_options(most_bytes=len(data) - 1)
    status = c.densa_model_load_memory(data, c_size_t(len(data)), byref(options), byref(model))
    expect(c, status, "LIMIT", f"{len(data)} bytes")
    path.write_bytes(data)
    status = c.densa_model_load(str(path).encode(), byref(options), byref(model))
    expect(c, status, "LIMIT", f"{len(data)} bytes")


def test_long_messages_end_in_whole_characters(c):
    model = c_void_p()
    for extra in range(4):
        name = "x" * extra + "ä" * 600
        c.densa_model_load(name.encode(), None, byref(model))
        message = c.densa_last_error()
        assert 500 < len(message) < 512
        message.decode()


# ---- the library itself --------------------------------------------------------------------------


def declared(installed):
    header = (installed.include / "densa.h").read_text()
    return set(re.findall(r"^DENSA_API [^;]*?(densa_\w+)\(", header, re.MULTILINE))


@pytest.mark.skipif(shutil.which("nm") is None, reason="needs nm")
def test_it_exports_the_header_and_needs_no_python(installed, library):
    def names(*options):
        text = subprocess.run(
            ["nm", "-D", *options, str(library)], check=True, capture_output=True, text=True
        ).stdout
        return {line.split()[-1] for line in text.splitlines()}

    exported = names("--defined-only", "--with-symbol-versions")
    of_abi = {name.removesuffix("@@DENSA_1") for name in exported if name.endswith("@@DENSA_1")}
    assert of_abi == declared(installed)
    others = [n for n in exported if not n.endswith(("@@DENSA_1", "@@DENSA_PRIVATE"))]
    assert {n.split("@")[0] for n in others} <= {"DENSA_1", "DENSA_PRIVATE"}
    wanted = names("--undefined-only")
    assert not [name for name in wanted if name.startswith(("_Py", "Py", "_ZN5densa"))]


@pytest.mark.skipif(shutil.which("readelf") is None, reason="needs readelf")
def test_its_soname_has_the_version_of_the_abi(library):
    text = subprocess.run(
        ["readelf", "-dW", str(library)], check=True, capture_output=True, text=True
    ).stdout
    assert re.search(r"SONAME.*\[libdensa_predict\.so\.1\]", text)
    needed = re.findall(r"NEEDED.*\[(.*?)\]", text)
    assert {name.split(".")[0] for name in needed} <= {"libstdc++", "libm", "libgcc_s", "libc",
                                                       "libpthread", "ld-linux-x86-64"}  # fmt: skip
