"""The IDX reader: what it reads, and that it refuses everything else by name."""

import gzip
import hashlib

import numpy as np
import pytest

from densa.datasets.idx import read_idx


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.astype(np.uint8).tobytes()


ARRAY = np.arange(24).reshape(2, 3, 4)
GOOD = idx(ARRAY)


@pytest.fixture
def write(tmp_path):
    def _write(content, name="a-idx3-ubyte"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return _write


def test_plain_and_compressed(write):
    np.testing.assert_array_equal(read_idx(write(GOOD), ndim=3), ARRAY)
    array = read_idx(write(gzip.compress(GOOD), "a.gz"), ndim=3)
    np.testing.assert_array_equal(array, ARRAY)
    assert array.dtype == np.uint8
    assert array.flags.writeable


def test_empty_array(write):
    assert read_idx(write(idx(np.zeros((0, 3, 4)))), ndim=3).shape == (0, 3, 4)


@pytest.mark.parametrize("length", range(len(GOOD)))
def test_every_truncation_is_an_error(write, length):
    with pytest.raises(ValueError, match="a-idx3-ubyte.*cut short"):
        read_idx(write(GOOD[:length]), ndim=3)


def test_every_truncation_of_gzip_is_an_error(write):
    packed = gzip.compress(GOOD)
    for length in range(len(packed)):
        with pytest.raises(ValueError, match=r"a\.gz.*cut.short"):
            read_idx(write(packed[:length], "a.gz"), ndim=3)


def test_every_flipped_byte_of_gzip_body_is_an_error(write):
    packed = gzip.compress(GOOD)
    for place in range(10, len(packed)):  # the 10 header bytes hold a date and hints
        broken = bytearray(packed)
        broken[place] ^= 0xFF
        with pytest.raises(ValueError, match=r"a\.gz"):
            read_idx(write(bytes(broken), "a.gz"), ndim=3)


@pytest.mark.parametrize(
    ("content", "ndim", "message"),
    [
        (GOOD + b"x", 3, "more data"),
        (b"\x01" + GOOD[1:], 3, "not an IDX file"),
        (GOOD[:2] + b"\x0d" + GOOD[3:], 3, "not an IDX file"),
        (GOOD, 1, "not an IDX file of unsigned bytes with 1 dim"),
        (bytes([0, 0, 8, 3]) + b"\xff" * 12, 3, "cut short"),
        (b"<html>not found</html>", 3, "not an IDX file"),
    ],
)
def test_wrong_content(write, content, ndim, message):
    with pytest.raises(ValueError, match=message):
        read_idx(write(content), ndim=ndim)


def test_checksum(write):
    digest = hashlib.sha256(GOOD).hexdigest()
    read_idx(write(GOOD), ndim=3, sha256=digest)
    changed = GOOD[:-1] + bytes([GOOD[-1] ^ 1])
    with pytest.raises(ValueError, match=f"expected {digest}"):
        read_idx(write(changed), ndim=3, sha256=digest)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "none", ndim=1)
