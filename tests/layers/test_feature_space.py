"""FeatureSpace: tables by a description of their columns."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import densa
from densa import layers
from densa.utils import FeatureSpace

TABLE = {
    "age": [20.0, 40.0, 60.0, 30.0, 35.0],
    "income": [1e3, 2e3, 3e3, 4e3, 2500.0],
    "shop": [3, 9, 3, 1, 9],
    "town": ["Rome", "Oslo", "Rome", "Paris", "Rome"],
    "text": ["a b", "b c", "c", "d a", ""],
}


def everything(**more):
    return FeatureSpace(
        {
            "age": "float_normalized",
            "income": FeatureSpace.float_discretized(2),
            "shop": "integer_categorical",
            "text": FeatureSpace.feature(
                "string", layers.TextVectorization(output_mode="count"), "float"
            ),
            "town": "string_categorical",
        },
        crosses=[("town", "shop"), FeatureSpace.cross(("income", "shop"), 4)],
        **more,
    )


def numbers_only():
    return FeatureSpace(
        {"age": "float_normalized", "income": "float_discretized", "shop": "integer_categorical"}
    )


def rows(space, table=TABLE):
    return space(table).numpy()


def hot(ids, depth):
    return (np.asarray(ids)[:, None] == np.arange(depth)).astype("float32")


def encoded_by_numpy(kind):
    """What a space of one feature gives for the column of that kind, written apart from it."""
    age, shop = np.array(TABLE["age"]), np.array(TABLE["shop"])
    town = np.array(TABLE["town"])
    if kind == "float":
        return "age", age[:, None]
    if kind == "float_rescaled":
        return "age", age[:, None]
    if kind == "float_normalized":
        return "age", ((age - age.mean()) / age.std())[:, None]
    if kind == "float_discretized":
        # Bounds at the smallest values that a share of i / 32 of the values does not exceed.
        bounds = np.sort(age)[[int(np.ceil(i * len(age) / 32)) - 1 for i in range(1, 32)]]
        return "age", hot([(x >= bounds).sum() for x in age], 32)
    if kind == "integer_categorical":
        return "shop", hot([{9: 1, 3: 2, 1: 3}[n] for n in shop], 4)
    return "town", hot([{"Rome": 1, "Paris": 2, "Oslo": 3}[t] for t in town], 4)


KINDS = [
    "float", "float_rescaled", "float_normalized", "float_discretized", "integer_categorical",
    "string_categorical",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_each_type_against_numpy(kind):
    name, expected = encoded_by_numpy(kind)
    space = FeatureSpace({name: kind})
    space.adapt(TABLE)
    found = space(TABLE)
    assert found.dtype == "float32"
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_rescaled_and_given_boundaries():
    space = FeatureSpace(
        {
            "a": FeatureSpace.float_rescaled(0.5, 1.0),
            "b": FeatureSpace.float_discretized(None, [0.0, 2.0]),
        }
    )
    found = space({"a": [2.0, 4.0], "b": [-1.0, 2.0]}).numpy()  # nothing to adapt
    assert found.tolist() == [[2, 1, 0, 0], [3, 0, 0, 1]]


def test_hashes_are_those_of_the_layers():
    space = FeatureSpace({"town": "string_hashed", "shop": "integer_hashed"}, hashing_dim=7)
    both = np.concatenate(
        [hot(layers.Hashing(7)(np.array(TABLE[name])).numpy(), 7) for name in ("shop", "town")], 1
    )
    np.testing.assert_array_equal(rows(space), both)


def test_columns_stand_in_the_order_of_their_names_then_crosses():
    space = everything()
    space.adapt(TABLE)
    whole, parts = rows(space), everything(output_mode="dict")
    parts.adapt(TABLE)
    found = parts(TABLE)
    names = ["age", "income", "shop", "text", "town", "income_X_shop", "town_X_shop"]
    assert list(found) == names
    assert [found[name].shape[1] for name in names] == [1, 2, 4, 5, 4, 4, 32]
    np.testing.assert_array_equal(whole, np.concatenate([found[n].numpy() for n in names], 1))
    shops, towns = found["shop"].numpy().argmax(1), found["town"].numpy().argmax(1)
    crossed = layers.HashedCrossing(32)((towns[:, None], shops[:, None])).numpy()
    np.testing.assert_array_equal(found["town_X_shop"].numpy(), hot(crossed[:, 0], 32))


def test_ints_in_a_dict():
    space = FeatureSpace(
        {
            "shop": FeatureSpace.integer_categorical(output_mode="int"),
            "town": FeatureSpace.string_categorical(output_mode="int"),
        },
        crosses=[FeatureSpace.cross(("shop", "town"), 5, "int")],
        output_mode="dict",
    )
    space.adapt(TABLE)
    found = space({"shop": [9, 2], "town": ["Rome", "Bonn"]})
    names = ("shop", "town", "shop_X_town")
    kinds = {name: (x.dtype, x.shape) for name, x in found.items()}
    assert kinds == dict.fromkeys(names, ("int64", (2, 1)))
    assert found["shop"].numpy().tolist() == [[1], [0]]
    inputs = space.get_encoded_features()
    assert {name: tuple(x.shape) for name, x in inputs.items()} == dict.fromkeys(found, (None, 1))


def test_one_row_is_a_vector():
    space = everything()
    space.adapt(TABLE)
    one = {name: column[2] for name, column in TABLE.items()}
    np.testing.assert_array_equal(space(one).numpy(), rows(space)[2])


@pytest.mark.parametrize("pairs", [False, True])
def test_adapts_to_batches_and_to_rows(pairs):
    def stream(sizes):
        at = 0
        for size in sizes:
            part = {
                name: np.array(column[at : at + size]) if size > 1 else column[at]
                for name, column in TABLE.items()
            }
            at += size
            yield (part, None) if pairs else part

    whole = everything()
    whole.adapt(TABLE)
    for sizes in ([2, 3], [1] * 5):
        space = everything()
        space.adapt(stream(sizes))
        np.testing.assert_array_equal(rows(space), rows(whole))


def test_takes_data_frames():
    pandas = pytest.importorskip("pandas")
    space = everything()
    space.adapt(pandas.DataFrame(TABLE))
    found = rows(space, pandas.DataFrame({**TABLE, "unused": 0}))
    np.testing.assert_array_equal(found, rows(space))


def test_numbers_are_part_of_a_model():
    space = numbers_only()
    space.adapt(TABLE)
    inputs, encoded = space.get_inputs(), space.get_encoded_features()
    outputs = layers.Dense(3)(encoded)
    training, whole = densa.Model(encoded, outputs), densa.Model(inputs, outputs)
    training.compile("sgd", "mse")
    training.fit(space(TABLE), np.ones((5, 3)), epochs=2, verbose=0)
    raw = {name: np.array(TABLE[name], str(x.dtype))[:, None] for name, x in inputs.items()}
    expected = training.predict(space(TABLE), verbose=0)
    np.testing.assert_array_equal(whole.predict(raw, verbose=0), expected)
    frozen = whole.freeze()
    np.testing.assert_allclose(np.reshape(frozen(raw), (5, 3)), expected, rtol=1e-5, atol=1e-6)


def test_words_are_encoded_before_a_model():
    space = everything()
    space.adapt(TABLE)
    with pytest.raises(ValueError, match="text, hashed or crossed"):
        space.get_inputs()
    encoded = space.get_encoded_features()
    assert encoded is space.get_encoded_features()
    assert tuple(encoded.shape) == (None, 52)
    model = densa.Model(encoded, layers.Dense(1)(encoded))
    model.compile("adam", "mse")
    model.fit(space(TABLE), np.ones(5), verbose=0)
    assert model.predict(space(TABLE), verbose=0).shape == (5, 1)


def test_a_file_holds_what_was_learnt(tmp_path):
    space = everything(name="people")
    space.adapt(TABLE)
    path = tmp_path / "space.densa"
    space.save(path)
    with pytest.raises(FileExistsError):
        space.save(path, overwrite=False)
    found = densa.saving.load_model(path)
    assert isinstance(found, FeatureSpace)
    assert found.name == "people"
    np.testing.assert_array_equal(rows(found), rows(space))
    # In a process that has not imported the class.
    code = (
        "import sys, densa; s = densa.saving.load_model(sys.argv[1]); "
        f"print(s({ {k: v[1] for k, v in TABLE.items()}!r}).numpy().tolist())"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == str(rows(space)[1].tolist())


def test_copies():
    space = everything()
    space.adapt(TABLE)
    copies = [
        FeatureSpace.from_config(space.get_config()),
        copy.deepcopy(space),
        pickle.loads(pickle.dumps(space)),
    ]
    expected = rows(space)
    for made in copies:
        np.testing.assert_array_equal(rows(made), expected)
        other = {**TABLE, "age": [0.0, 1.0, 2.0, 3.0, 4.0]}
        made.adapt(other)  # again, to other data
        np.testing.assert_allclose(rows(made, other)[:, 0].mean(), 0, atol=1e-6)
        np.testing.assert_array_equal(rows(space), expected)
    fresh = FeatureSpace.from_config(everything().get_config())
    with pytest.raises(ValueError, match="adapt"):
        fresh(TABLE)


def test_what_was_given_is_not_learnt():
    given = layers.StringLookup(vocabulary=["Oslo", "Bonn"])
    space = FeatureSpace(
        {"town": FeatureSpace.feature("string", given, "one_hot"), "age": "float_normalized"}
    )
    space.adapt(TABLE)
    assert given.get_vocabulary() == ["[UNK]", "Oslo", "Bonn"]
    assert rows(space).shape == (5, 4)


@pytest.mark.parametrize(
    ("broken", "error", "message"),
    [
        ({"shop": None}, ValueError, "lack the column 'shop'"),
        ({name: [] for name in TABLE}, ValueError, "no row"),
        ({"age": [1.0, np.nan, 1, 1, 1]}, ValueError, "'age' holds NaN"),
        ({"age": ["x"] * 5}, TypeError, "'age' holds numbers"),
        ({"shop": [0.5] * 5}, TypeError, "'shop' holds whole numbers"),
        ({"town": [1] * 5}, TypeError, "town"),
    ],
)
def test_refused_data_changes_nothing(broken, error, message):
    space = everything()
    space.adapt(TABLE)
    before = rows(space)
    table = {k: v for k, v in {**TABLE, **broken}.items() if v is not None}
    with pytest.raises(error, match=message):
        space.adapt(table)
    np.testing.assert_array_equal(rows(space), before)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FeatureSpace({}), "at least one feature"),
        (lambda: FeatureSpace(["age"]), "dict"),
        (lambda: FeatureSpace({"a": "float_normalised"}), "Did you mean 'float_normalized'"),
        (lambda: FeatureSpace({"a": "float"}, "list"), "output_mode"),
        (lambda: FeatureSpace({"a": "string_hashed"}, crosses=[("a", "b")]), "no feature"),
        (
            lambda: FeatureSpace({"a": "float", "b": "string_hashed"}, crosses=[("a", "b")]),
            "becomes floats",
        ),
        (lambda: FeatureSpace({"a": "string_hashed"}, crosses=["a"]), "two features"),
        (lambda: FeatureSpace({"a": FeatureSpace.integer_hashed(4, "int")}), "in a vector"),
        (
            lambda: FeatureSpace({"a": FeatureSpace.feature("float32", layers.ReLU(), "one_hot")}),
            "ReLU gives something else",
        ),
        (
            lambda: FeatureSpace({"a": FeatureSpace.feature("string", layers.Hashing(3), "float")}),
            "Hashing gives ints",
        ),
        (lambda: FeatureSpace.cross(("a", "b"), 0), "crossing_dim"),
        (lambda: FeatureSpace.feature("float32", layers.ReLU(), "hot"), "output_mode"),
    ],
)
def test_refused_descriptions(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_refused_calls():
    space = numbers_only()
    for call in (lambda: space(TABLE), space.get_inputs, space.get_encoded_features):
        with pytest.raises(ValueError, match=r"adapt\(table\) first"):
            call()
    space.adapt(TABLE)
    with pytest.raises(TypeError, match="dict of columns"):
        space([1, 2])
    with pytest.raises(ValueError, match="differ in their rows"):
        space({**TABLE, "age": [1.0]})
    with pytest.raises(ValueError, match="'agee'.*Did you mean|lack the column 'age'"):
        space({"agee": [1.0], "income": [1.0], "shop": [1]})
    for data in (3, "text"):
        with pytest.raises(TypeError, match="adapt"):
            space.adapt(data)
    with pytest.raises(TypeError, match="batches that are dicts"):
        space.adapt([[1, 2]])


def test_no_rows():
    space = everything()
    space.adapt(TABLE)
    assert space({name: [] for name in TABLE}).shape == (0, 52)
