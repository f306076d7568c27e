"""Files of frozen networks: the same answers after a round trip, an error for anything broken."""

import contextlib
import copy
import json
import pickle
import re
import threading
import time

import numpy as np
import pytest

import densa
from densa import layers
from predict_files import edited, file_bytes, parts, put, read, whole
from predict_nets import NETS, data_for, move_weights
from predict_nets import wide_net as wide


@pytest.fixture(params=NETS, ids=lambda make: make.__name__)
def model(request):
    made = request.param()
    move_weights(made)
    return made


@pytest.mark.parametrize("mmap", [True, False])
def test_a_round_trip(model, tmp_path, mmap):
    predictor = model.freeze()
    path = tmp_path / "net.densa"
    predictor.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["net.densa"]
    loaded = densa.Predictor.load(path, mmap=mmap)
    assert loaded.inputs == predictor.inputs
    assert loaded.outputs == predictor.outputs
    assert loaded.explain() == predictor.explain()
    arrays = data_for(predictor, 70)
    for y, t in zip(loaded.run(arrays), predictor.run(arrays), strict=True):
        np.testing.assert_array_equal(y, t)
    again = tmp_path / "again.densa"
    loaded.save(again)
    assert again.read_bytes() == path.read_bytes()


def test_structures_come_back(tmp_path):
    predictor = wide().freeze()
    predictor.save(tmp_path / "a.densa")
    loaded = densa.Predictor.load(tmp_path / "a.densa")
    ids, numbers = data_for(predictor, 3)
    got = loaded({"ids": ids, "numbers": numbers})
    assert isinstance(got, list)
    np.testing.assert_array_equal(got[1], predictor(ids, numbers)[1])


def test_tuples_come_back(tmp_path):
    x = densa.Input((3,), name="x")
    parts = [layers.Dense(1)(x) for _ in range(4)]
    outputs = {"a": (parts[0], [parts[1], (parts[2],)]), "b": [parts[3]]}
    predictor = densa.Model({"x": (x,)}, outputs).freeze()
    predictor.save(tmp_path / "a.densa")
    loaded = densa.Predictor.load(tmp_path / "a.densa")
    got = loaded({"x": (np.ones((2, 3), "float32"),)})

    def kinds(part):
        if isinstance(part, dict):
            return {key: kinds(value) for key, value in part.items()}
        inner = [kinds(value) for value in part] if isinstance(part, (list, tuple)) else None
        return type(part).__name__, inner

    assert kinds(got) == kinds(predictor({"x": (np.ones((2, 3), "float32"),)}))
    assert isinstance(got["a"], tuple)
    assert isinstance(got["a"][1][1], tuple)


@pytest.mark.parametrize(
    "again", [lambda p: pickle.loads(pickle.dumps(p)), copy.copy, copy.deepcopy]
)
def test_copies_and_pickles(again):
    predictor = wide().freeze()
    made = again(predictor)
    arrays = data_for(predictor, 5)
    for y, t in zip(made.run(arrays), predictor.run(arrays), strict=True):
        np.testing.assert_array_equal(y, t)
    assert made.certificate == predictor.certificate
    assert repr(made) == repr(predictor)


def test_the_file_may_go_away_and_be_replaced(tmp_path):
    predictor = wide().freeze()
    path = tmp_path / "a.densa"
    predictor.save(path)
    loaded = densa.Predictor.load(path)
    arrays = data_for(predictor, 5)
    wanted = predictor.run(arrays)
    other = wide()
    move_weights(other)
    other.freeze().save(path)
    for y, t in zip(loaded.run(arrays), wanted, strict=True):
        np.testing.assert_array_equal(y, t)
    path.unlink()
    for y, t in zip(loaded.run(arrays), wanted, strict=True):
        np.testing.assert_array_equal(y, t)


def test_other_readers_understand_it(tmp_path):
    """The layout is that of safetensors, read here by its specification."""
    predictor = wide().freeze()
    path = tmp_path / "a.densa"
    predictor.save(path)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    assert (8 + length) % 64 == 0
    arena = header.pop("arena")
    assert arena == {
        "dtype": "U8",
        "shape": [len(data) - 8 - length],
        "data_offsets": [0, len(data) - 8 - length],
    }
    assert list(header) == ["__metadata__"]
    assert all(isinstance(text, str) for text in header["__metadata__"].values())


def test_the_wrong_loader_names_the_right_one(tmp_path):
    model = wide()
    model.save(tmp_path / "model.densa")
    model.freeze().save(tmp_path / "net.densa")
    with pytest.raises(ValueError, match="load_model"):
        densa.Predictor.load(tmp_path / "model.densa")
    with pytest.raises(ValueError, match="Predictor.load"):
        densa.models.load_model(tmp_path / "net.densa")


@pytest.mark.parametrize("mmap", [True, False])
def test_files_that_are_none(tmp_path, mmap):
    with pytest.raises(ValueError, match="cannot be opened"):
        densa.Predictor.load(tmp_path / "missing.densa", mmap=mmap)
    with pytest.raises(ValueError, match="not a file"):
        densa.Predictor.load(tmp_path, mmap=mmap)
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(ValueError, match="0 bytes"):
        densa.Predictor.load(tmp_path / "empty", mmap=mmap)
    (tmp_path / "text").write_bytes(b"x" * 1000)
    with pytest.raises(ValueError, match="does not fit"):
        densa.Predictor.load(tmp_path / "text", mmap=mmap)
    with pytest.raises(ValueError, match="folder"):
        wide().freeze().save(tmp_path / "no" / "net.densa")


# ---- damage --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    model = densa.Sequential(
        [densa.Input((3,)), layers.Dense(4, "relu"), layers.Dense(2, "softmax")]
    )
    return file_bytes(model.freeze())


def test_every_truncation_is_an_error(small):
    for size in range(len(small)):
        with pytest.raises(ValueError, match="not a predictor that this densa can read"):
            read(small[:size])


def test_bytes_behind_the_end_are_an_error(small):
    for extra in (b"\0", b"x" * 64):
        for check in (True, False):
            with pytest.raises(ValueError, match="not a predictor"):
                read(small + extra, check)


def test_every_flipped_bit_is_an_error(small):
    data = bytearray(small)
    for at in range(len(data)):
        for bit in range(8):
            data[at] ^= 1 << bit
            with pytest.raises(ValueError, match="not a predictor"):
                read(data)
            data[at] ^= 1 << bit
    read(data)


def test_a_flipped_bit_without_the_sum_never_does_harm(small):
    """Whatever passes the other checks computes something."""
    data = bytearray(small)
    x = np.ones((3, 3), "float32")
    passed = 0
    for at in range(len(data)):
        for bit in range(0, 8, 3):
            data[at] ^= 1 << bit
            try:
                predictor = read(data, check=False)
            except ValueError:
                pass
            else:
                passed += 1
                with contextlib.suppress(ValueError, MemoryError):
                    predictor.run([np.ones((3, *s.shape[1:]), s.dtype) for s in predictor.inputs])
            data[at] ^= 1 << bit
    assert passed > 100  # flips of weights and spaces
    assert read(data, check=False)(x).shape == (3, 2)


# ---- a header that lies --------------------------------------------------------------------------


def test_the_unchanged_parts_are_read(small):
    assert read(edited(small, lambda header, net: None), check=False)


LIES = {
    "rows in a constant": (put(["values", 1, "shape"], [None, 4]), "rows"),
    "a constant that is too large": (put(["values", 1, "shape"], [3, 4000]), "constants take"),
    "a constant that is too small": (put(["values", 1, "shape"], [3, 1]), "w|b"),
    "a huge constant": (put(["values", 1, "shape"], [2**40, 2**40]), "not a predictor"),
    "a negative size": (put(["values", 1, "shape"], [3, -4]), "size is -4"),
    "a size that is no number": (put(["values", 1, "shape"], [3, "4"]), "whole number"),
    "a broken size": (put(["values", 1, "shape"], [3, 4.5]), "whole number"),
    "too many axes": (put(["values", 1, "shape"], [1] * 20), "dimensions"),
    "an unknown dtype": (put(["values", 1, "dtype"], "float128"), "float128"),
    "another dtype": (put(["values", 1, "dtype"], "float64"), "constants take|dense"),
    "another packing": (put(["values", 1, "packing"], "rows"), "memory|constants"),
    "an unknown packing": (put(["values", 1, "packing"], "zip"), "packing"),
    "an unknown kind": (put(["values", 1, "kind"], "magic"), "kind"),
    "an input that is not there": (put(["values", 0, "input"], 7), "input 7"),
    "a negative input": (put(["values", 0, "input"], -1), "is -1"),
    "an unknown op": (put(["nodes", 0, "op"], "system"), "unknown op"),
    "an op of training": (put(["nodes", 0, "op"], "dropout"), "not a predictor"),
    "a node that reads ahead": (put(["nodes", 0, "in"], [99, 1, 2]), "names value %99"),
    "a node that reads itself": (put(["nodes", 0, "in"], [3, 1, 2]), "before it is made"),
    "a node without results": (put(["nodes", 0, "out"], []), "makes nothing"),
    "a node that makes a constant": (put(["nodes", 0, "out"], [1]), "again"),
    "too few operands": (put(["nodes", 0, "in"], [0]), "inputs"),
    "another attribute": (put(["nodes", 0, "attrs"], {"activation": "rm"}), "activation"),
    "an attribute of another kind": (put(["nodes", 0, "attrs"], {"activation": 3}), "string"),
    "an attribute that is an object": (put(["nodes", 0, "attrs"], {"activation": {}}), "list"),
    "an output that is not there": (put(["outputs", 0, "value"], 99), "names value %99"),
    "an output that is a constant": (put(["outputs", 0, "value"], 1), "first axis"),
    "no outputs": (put(["outputs"], []), "no outputs"),
    "a key too many": (put(["extra"], 1), "unknown key"),
    "a key too many in a node": (put(["nodes", 0, "extra"], 1), "unknown key"),
    "an input of two rows": (put(["inputs", 0, "shape"], [None, None]), "shape|type"),
    "an input without rows": (put(["inputs", 0, "shape"], [3]), "first axis"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_header_that_lies_is_refused(small, name):
    change, text = LIES[name]
    with pytest.raises(ValueError, match=text):
        read(edited(small, change), check=False)


@pytest.mark.parametrize("step", [2**63 - 1, -(2**63), 2**62, -(2**63 - 1)])
def test_a_step_as_long_as_numbers_go(step):
    """Sums with it do not overflow: it takes the first of a range."""
    x = densa.Input((6,))
    data = file_bytes(densa.Model(x, x[:, 1 if step > 0 else 4 :: 5 if step > 0 else -5]).freeze())

    def change(header, net):
        net["nodes"][0]["attrs"]["step"][1] = step

    predictor = read(edited(data, change), check=False)
    rows = np.arange(12, dtype="float32").reshape(2, 6)
    np.testing.assert_array_equal(predictor(rows), rows[:, [1 if step > 0 else 4]])


@pytest.mark.parametrize("shape", [[3, 2**63 - 1], [0, 2**63 - 1], [2**63 - 1, 0]])
def test_a_constant_as_large_as_numbers_go(small, shape):
    """Counting its panels does not overflow."""
    with pytest.raises(ValueError, match="more than any machine has"):
        read(edited(small, put(["values", 1, "shape"], shape)), check=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "JSON"),
        ("[]", "object"),
        ("{}", "inputs"),
        ('{"inputs":[],"inputs":[]}', "twice"),
        ("[" * 100_000, "nested"),
        ('{"a":1}x', "behind the end"),
        ('{"a":NaN}', "JSON"),
        ('{"a":1e999}', "too large"),
        ('{"a":99999999999999999999}', "too large"),
        ('{"a":01}', "JSON"),
        ('{"a":"\\ud800"}', "half a character"),
        ('{"a":"\\q"}', "escape"),
        ('{"a":"x', "without end"),
    ],
)
def test_a_net_that_is_no_json(small, text, message):
    header, net, arena = parts(small)
    with pytest.raises(ValueError, match=message):
        read(whole(header, net, arena, text), check=False)


def test_metadata_that_is_not_ours(small):
    def version(header, net):
        header["__metadata__"]["version"] = "3"

    def form(header, net):
        header["__metadata__"]["format"] = "other"

    def second(header, net):
        header["more"] = header["arena"]

    def offsets(header, net):
        header["arena"]["data_offsets"][0] = 1

    for change, text in [
        (version, "version is 3; this densa reads 1 to 2: install a newer one, or freeze"),
        (form, "format is"),
        (second, "unknown key"),
        (offsets, "arena"),
    ]:
        with pytest.raises(ValueError, match=text):
            read(edited(small, change), check=False)


def test_loading_does_not_take_long(tmp_path):
    """It takes less than a millisecond on a quiet machine; here it must not take seconds."""
    model = densa.Sequential(
        [
            densa.Input((784,)),
            layers.Dense(300, "relu"),
            layers.Dense(100, "relu"),
            layers.Dense(10),
        ]
    )
    path = tmp_path / "a.densa"
    model.freeze().save(path)
    times = []
    for _ in range(20):
        start = time.perf_counter()
        densa.Predictor.load(path)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.05


def test_a_link_stays_one(tmp_path):
    """What it points to is replaced; so does `model.save`."""
    model = densa.Sequential([densa.Input((3,)), layers.Dense(2)])
    (tmp_path / "store").mkdir()
    for save, load in (
        (model.freeze().save, densa.Predictor.load),
        (model.save, densa.models.load_model),
    ):
        for target in (tmp_path / "store" / "old.densa", tmp_path / "store" / "new.densa"):
            if "old" in target.name:
                target.write_bytes(b"what was there")
            else:
                target.unlink(missing_ok=True)
            link, second = tmp_path / "link.densa", tmp_path / "second.densa"
            link.unlink(missing_ok=True)
            second.unlink(missing_ok=True)
            link.symlink_to(target.relative_to(tmp_path))
            second.symlink_to(link)
            save(second)
            assert second.is_symlink()
            assert link.is_symlink()
            assert not target.is_symlink()
            load(target)
            assert {p.name for p in tmp_path.iterdir()} == {"store", "link.densa", "second.densa"}
            assert {p.suffix for p in target.parent.iterdir()} == {".densa"}


def test_a_file_renamed_over_leaves_mapped_predictors_as_they_are(tmp_path):
    path = tmp_path / "a.densa"
    models = [densa.Sequential([densa.Input((3,)), layers.Dense(2)]) for _ in range(2)]
    x = np.ones((4, 3), "float32")
    models[0].freeze().save(path)
    first, wanted = densa.Predictor.load(path), models[0].freeze()(x)
    models[1].freeze().save(path)
    np.testing.assert_array_equal(first(x), wanted)
    np.testing.assert_array_equal(densa.Predictor.load(path)(x), models[1].freeze()(x))


def test_without_mmap_the_file_may_change(tmp_path):
    path = tmp_path / "a.densa"
    model = densa.Sequential([densa.Input((3,)), layers.Dense(2)])
    model.freeze().save(path)
    predictor, x = densa.Predictor.load(path, mmap=False), np.ones((4, 3), "float32")
    wanted = predictor(x)
    with open(path, "r+b") as file:
        file.write(b"\xff" * path.stat().st_size)
    np.testing.assert_array_equal(predictor(x), wanted)


def test_errors_name_the_file(tmp_path):
    path = tmp_path / "a.densa"
    path.write_bytes(b"\0" * 100)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        densa.Predictor.load(path)


def test_threads_that_save_to_one_path_leave_a_whole_file(tmp_path):
    path = tmp_path / "net.densa"
    x = densa.Input((3,))
    predictor = densa.Model(x, densa.layers.Dense(2)(x)).freeze()
    predictor.save(path)
    wrong = []

    def keep_going(work):
        try:
            for _ in range(20):
                work()
        except Exception as error:
            wrong.append(error)

    def load():
        densa.Predictor.load(path, mmap=False)

    works = [lambda: predictor.save(path), lambda: predictor.save(path), load]
    threads = [threading.Thread(target=keep_going, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert [p.name for p in tmp_path.iterdir()] == ["net.densa"]
