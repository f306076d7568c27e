"""Philox4x32-10 against a slow version in Python integers."""

import pytest

import densa
from densa import _core
from densa._philox import Philox

_MASK = 0xFFFFFFFF


def _reference(key, step, block):
    c = [block & _MASK, block >> 32, step & _MASK, step >> 32]
    k = [key & _MASK, key >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & _MASK, (a >> 32) ^ c[3] ^ k[1], a & _MASK]
        k = [(k[0] + 0x9E3779B9) & _MASK, (k[1] + 0xBB67AE85) & _MASK]
    return tuple(c)


@pytest.mark.parametrize("key", [0, 1, 2**64 - 1, 0x0123456789ABCDEF])
@pytest.mark.parametrize("step", [0, 5, 2**64 - 1])
@pytest.mark.parametrize("block", [0, 1, 2**40, 2**64 - 1])
def test_blocks(key, step, block):
    assert _core.testing.philox(key, step, block) == _reference(key, step, block)


def test_published_vectors():
    assert _core.testing.philox(0, 0, 0) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    ones = 2**64 - 1
    assert _core.testing.philox(ones, ones, ones) == (
        0x408F276D,
        0x41C83B0E,
        0xA20BC7C6,
        0x6D5451FD,
    )


def test_seeds_drawn_from_the_global_one_are_the_same_under_every_numpy():
    densa.utils.set_random_seed(5)
    drawn = [densa.random.make_default_seed() for _ in range(2)]
    # Python's integers have all 64 bits of the samples.
    samples = [int(Philox(5, k).integers(1)[0]) for k in (1, 2)]
    assert drawn == [bits % (2**31 - 1) for bits in samples]
    assert drawn[0] == 1497030301
