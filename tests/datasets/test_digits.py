"""The embedded digits: shapes, range, split, and that nobody touched the data."""

import hashlib
import os

import numpy as np

from densa.datasets import digits


def test_shapes_types_and_range():
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    assert (x_train.shape, y_train.shape) == ((1437, 8, 8), (1437,))
    assert (x_test.shape, y_test.shape) == ((360, 8, 8), (360,))
    for array in (x_train, y_train, x_test, y_test):
        assert array.dtype == np.uint8
        assert array.flags.writeable
    assert x_train.max() == x_test.max() == 16
    assert set(y_train) == set(y_test) == set(range(10))


def test_the_whole_set_is_uci_test_part():
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    y = np.concatenate([y_train, y_test])
    # Class counts as published with the set.
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    rows = np.column_stack([np.concatenate([x_train, x_test]).reshape(-1, 64), y])
    text = "\n".join(",".join(map(str, row)) for row in rows) + "\n"
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8"
    )


def test_first_image_is_a_zero():
    (x_train, y_train), _ = digits.load_data()
    assert y_train[0] == 0
    assert x_train[0, 0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]


def test_every_call_gives_new_arrays():
    (x, _), _ = digits.load_data()
    x[:] = 255
    assert digits.load_data()[0][0].max() == 16


def test_file_is_small_and_has_its_licence():
    folder = os.path.dirname(digits.__file__)
    assert os.path.getsize(os.path.join(folder, "digits.npz")) <= 60_000
    with open(os.path.join(folder, "LICENSE.digits.txt"), encoding="ascii") as file:
        text = file.read()
    assert "E. Alpaydin and C. Kaynak" in text
    assert "CC BY 4.0" in text
