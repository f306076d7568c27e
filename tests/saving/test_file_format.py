"""The file itself: its layout, and that nothing damaged is taken for whole."""

from __future__ import annotations

import io
import json
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import densa
from densa.saving.file_format import parse, strict_json, write_stream

TENSORS = {
    "dense/kernel": np.arange(6, dtype="float32").reshape(2, 3),
    "dense/bias": np.array([1.5, -2.0, np.nan], dtype="float64"),
    "count": np.array(7, dtype="int64"),
    "empty": np.zeros((0, 4), dtype="uint8"),
}
METADATA = {"kind": "weights", "version": "1", "state": '{"weights":["ü"]}'}


def to_bytes(tensors=TENSORS, metadata=METADATA):
    file = io.BytesIO()
    write_stream(file, tensors, metadata)
    return file.getvalue()


def test_layout():
    """Read by hand, as any reader of safetensors does."""
    data = to_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    assert size % 8 == 0
    header = json.loads(data[8 : 8 + size])
    body = data[8 + size :]
    assert header.pop("__metadata__") == {"crc32": data[34:42].decode(), **METADATA}
    assert list(header) == list(TENSORS)
    kinds = {"F32": "<f4", "F64": "<f8", "I64": "<i8", "U8": "u1"}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        array = np.frombuffer(body[begin:end], kinds[entry["dtype"]]).reshape(entry["shape"])
        np.testing.assert_array_equal(array, TENSORS[name])


def test_round_trip():
    tensors, metadata = parse(to_bytes())
    metadata.pop("crc32")
    assert metadata == METADATA
    assert list(tensors) == list(TENSORS)
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(tensors[name], array)
        assert tensors[name].dtype == array.dtype
        assert not tensors[name].flags.writeable


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=("Cs",)), max_size=8).filter(
            lambda name: name != "__metadata__"
        ),
        hnp.arrays(
            st.sampled_from(
                ["?", "u1", "i1", "u2", "i2", "f2", "u4", "i4", "f4", "u8", "i8", "f8"]
            ),
            hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        ),
        max_size=4,
    )
)
def test_any_tensors(tensors):
    again, _ = parse(to_bytes(tensors))
    assert set(again) == set(tensors)
    for name, array in tensors.items():
        assert again[name].shape == array.shape
        assert again[name].dtype == array.dtype
        assert again[name].tobytes() == np.ascontiguousarray(array).tobytes()


def test_every_truncation_is_noticed():
    data = to_bytes()
    for size in range(len(data)):
        with pytest.raises(ValueError):
            parse(data[:size])
    with pytest.raises(ValueError):
        parse(data + b"\0")


def test_every_flipped_bit_is_noticed():
    data = to_bytes()
    for place in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[place] ^= 1 << bit
            with pytest.raises(ValueError):
                parse(bytes(damaged))


@given(st.binary(max_size=200))
def test_noise(data):
    with pytest.raises(ValueError):
        parse(data)


# ---- headers that someone made on purpose, with a right check sum --------------------------------


def forge(text, body=b""):
    """A file with this header; `crc32` in it is set right."""
    zeros = b'{"__metadata__":{"crc32":"00000000"'
    header = text.encode().replace(b"{META", zeros)
    crc = zlib.crc32(body, zlib.crc32(header))
    header = header.replace(b"00000000", f"{crc:08x}".encode(), 1)
    return struct.pack("<Q", len(header)) + header + body


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return json.dumps({"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)})


EIGHT = b"\0" * 8


def test_a_forged_file_can_be_right():
    tensors, _ = parse(forge(f'{{META}},"a":{entry()}}}', EIGHT))
    np.testing.assert_array_equal(tensors["a"], [0, 0])


@pytest.mark.parametrize(
    ("header", "body", "words"),
    [
        (f'{{META}},"a":{entry()},"a":{entry()}}}', EIGHT, "comes twice"),
        (f'{{META,"kind":"a","kind":"b"}},"a":{entry()}}}', EIGHT, "comes twice"),
        (f'{{META}},"a":{entry()},"b":{entry(offsets=(4, 12))}}}', b"\0" * 12, "overlaps"),
        (f'{{META}},"a":{entry()},"b":{entry(offsets=(0, 8))}}}', EIGHT, "overlaps"),
        (f'{{META}},"a":{entry()},"b":{entry(offsets=(12, 20))}}}', b"\0" * 20, "gap"),
        (f'{{META}},"a":{entry(offsets=(4, 12))}}}', b"\0" * 12, "gap"),
        (f'{{META}},"a":{entry()}}}', b"\0" * 9, "1 bytes follow"),
        (f'{{META}},"a":{entry()}}}', b"\0" * 7, "ends at byte 8"),
        (f'{{META}},"a":{entry(shape=(3,))}}}', EIGHT, "needs 12 bytes"),
        (f'{{META}},"a":{entry(shape=(-2,))}}}', EIGHT, "integers >= 0"),
        (f'{{META}},"a":{entry(shape=(2.0,))}}}', EIGHT, "integers >= 0"),
        (f'{{META}},"a":{entry(shape=(True, 2))}}}', EIGHT, "integers >= 0"),
        (f'{{META}},"a":{entry(shape=(2**62, 2**62))}}}', EIGHT, "too large"),
        (f'{{META}},"a":{entry(shape=(1,) * 40)}}}', EIGHT, "40 dimensions"),
        (f'{{META}},"a":{entry(shape=(0, 2**62, 2**62), offsets=(0, 0))}}}', b"", "too large"),
        (f'{{META}},"a":{entry(offsets=(8, 0))}}}', EIGHT, "begin, end"),
        (f'{{META}},"a":{entry(offsets=(0, 8, 8))}}}', EIGHT, "begin, end"),
        ('{META},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,NaN]}}', EIGHT, "NaN"),
        ('{META},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,Infinity]}}', EIGHT, "Infinity"),
        ('{META},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,1e400]}}', EIGHT, "too large"),
        ('{META},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8e0]}}', EIGHT, "integers"),
        ('{META},"a":{"dtype":"F32","shape":[2],"data_offsets":"08"}}', EIGHT, "integers"),
        ('{META},"a":{"dtype":"F32","shape":[2]}}', EIGHT, "not described"),
        (f'{{META}},"a":{entry(dtype="F33")}}}', EIGHT, "unknown type 'F33'"),
        (f'{{META}},"a":{entry(dtype=None)}}}', EIGHT, "unknown type None"),
        ('{META},"a":7}', b"", "not described"),
        ('{META,"kind":7}}', b"", "not an object of strings"),
        ("{META}", b"", "not JSON"),
        ("{META}} x", b"", "not JSON"),
        ('{META},"a":' + "[" * 100_000, b"", "nested|not JSON"),
    ],
)
def test_forged_headers(header, body, words):
    with pytest.raises(ValueError, match=words):
        parse(forge(header, body))


def test_huge_header():
    with pytest.raises(ValueError, match="at most"):
        parse(struct.pack("<Q", 2**63) + b"{}")
    with pytest.raises(ValueError, match="only 2 follow"):
        parse(struct.pack("<Q", 1000) + b"{}")


def test_other_files():
    with pytest.raises(ValueError, match="check sum"):
        parse(struct.pack("<Q", 2) + b"{}")
    with pytest.raises(ValueError, match="check sum"):
        parse(struct.pack("<Q", 60) + b'{"__metadata__":{"format":"pt"}}'.ljust(60))


def test_strict_json():
    assert strict_json('{"a": [1, 2.5, null]}', "x") == {"a": [1, 2.5, None]}
    for bad in ("", "{", '{"a":1,"a":1}', "NaN", "[-Infinity]", "1e999"):
        with pytest.raises(ValueError, match="x"):
            strict_json(bad, "x")


def test_damaged_model_files(tmp_path):
    model = densa.Sequential([densa.Input((2,)), densa.layers.Dense(1)])
    path = tmp_path / "m.densa"
    model.save(path)
    data = path.read_bytes()
    for size in (*range(0, len(data), 41), len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(ValueError, match=r"m.densa"):
            densa.models.load_model(path)
    for place in range(0, len(data), 13):
        damaged = bytearray(data)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"m.densa"):
            densa.models.load_model(path)
    path.write_bytes(data)
    assert densa.models.load_model(path).count_params() == 3


def test_types_without_a_place():
    with pytest.raises(ValueError, match="complex128"):
        to_bytes({"a": np.zeros(2, complex)})


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    model = densa.Sequential([densa.Input((2,)), densa.layers.Dense(1)])
    path = tmp_path / "m.densa"
    model.save(path)
    before = path.read_bytes()
    model.layers[0].kernel.assign(np.ones((2, 1)))

    def fail(*_):
        raise OSError("no space")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no space"):
        model.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m.densa"]
