"""Layers that turn words and names into numbers, and the other small layers around them."""

import numpy as np
import pytest

import densa
from densa import layers
from densa.layers._hashing import siphash

WORDS = np.array([["a", "c", "d"], ["d", "z", "b"]])


def again(layer):
    return layers.deserialize(layers.serialize(layer))


def test_words_by_frequency():
    lookup = layers.StringLookup()
    lookup.adapt(WORDS)
    # Keras' documented answer: the most frequent first, equals in falling order.
    assert lookup.get_vocabulary() == ["[UNK]", "d", "z", "c", "b", "a"]
    assert lookup.get_vocabulary(include_special_tokens=False) == ["d", "z", "c", "b", "a"]
    ids = lookup([["a", "c", "d"], ["d", "z", "new"]])
    assert ids.dtype == "int64"
    assert ids.numpy().tolist() == [[5, 3, 1], [1, 2, 0]]
    assert lookup.vocabulary_size() == 6


@pytest.mark.parametrize(
    "data",
    [WORDS, WORDS.astype(object), np.char.encode(WORDS), WORDS.tolist(), [WORDS[0], WORDS[1]],
     (row for row in WORDS), [(row, None) for row in WORDS]],
)  # fmt: skip
def test_what_adapts(data):
    lookup = layers.StringLookup()
    lookup.adapt(data)
    assert set(lookup.get_vocabulary()) == {"[UNK]", "a", "b", "c", "d", "z"}


def test_limits_masks_and_steps():
    lookup = layers.StringLookup(max_tokens=4, mask_token="", num_oov_indices=1)
    lookup.adapt(np.array(["x", "y", "x", "", "w", "y", "x"]))
    assert lookup.get_vocabulary() == ["", "[UNK]", "x", "y"]
    assert lookup(["", "x", "w", "y"]).numpy().tolist() == [0, 2, 1, 3]
    lookup.adapt(iter([np.array(["q"]), np.array(["r", "r"])]), steps=1)
    assert lookup.get_vocabulary() == ["", "[UNK]", "q"]
    several = layers.StringLookup(num_oov_indices=3, vocabulary=["k"])
    ids = several([f"unknown {i}" for i in range(50)]).numpy()
    assert set(ids.tolist()) == {0, 1, 2}
    assert several(["k"]).numpy().tolist() == [3]


def test_vectors():
    vocabulary = ["a", "b", "c"]
    x = np.array([["a", "c", "c"], ["new", "b", "new"]])
    one = layers.StringLookup(vocabulary=vocabulary, output_mode="one_hot")
    np.testing.assert_array_equal(one(x).numpy(), np.eye(4)[[[1, 3, 3], [0, 2, 0]]])
    multi = layers.StringLookup(vocabulary=vocabulary, output_mode="multi_hot")
    np.testing.assert_array_equal(multi(x).numpy(), [[0, 1, 0, 1], [1, 0, 1, 0]])
    count = layers.StringLookup(vocabulary=vocabulary, output_mode="count", max_tokens=6,
                                pad_to_max_tokens=True)  # fmt: skip
    np.testing.assert_array_equal(count(x).numpy(), [[0, 1, 0, 2, 0, 0], [2, 0, 1, 0, 0, 0]])
    weights = layers.StringLookup(
        output_mode="tf_idf", vocabulary=vocabulary, idf_weights=[1, 2, 3]
    )
    np.testing.assert_allclose(weights(x).numpy(), [[0, 1, 0, 6], [4, 0, 2, 0]])
    learnt = layers.StringLookup(output_mode="tf_idf")
    learnt.adapt(np.array([["a", "b"], ["a", "a"]]))
    idf = np.log(1 + 2 / (1 + np.array([2, 1])))
    np.testing.assert_allclose(learnt([["a", "b"]]).numpy(), [[0, *idf]], rtol=1e-6)
    masked = layers.StringLookup(vocabulary=vocabulary, output_mode="count", mask_token="")
    np.testing.assert_array_equal(masked([["", "a", ""]]).numpy(), [[0, 1, 0, 0]])


def test_back_to_words():
    words = layers.StringLookup(vocabulary=["a", "b"], invert=True)
    got = words(np.array([[2, 0], [1, 9]]))
    assert got.tolist() == [["b", "[UNK]"], ["a", "[UNK]"]]
    names = layers.IntegerLookup(vocabulary=[30, 12], invert=True)
    assert names([[1, 0, 2]]).numpy().tolist() == [[30, -1, 12]]


def test_saved_with_its_vocabulary(tmp_path):
    for lookup, x in (
        (layers.StringLookup(mask_token="", num_oov_indices=2, salt=7), [["a", "q", ""]]),
        (layers.StringLookup(output_mode="tf_idf"), [["a", "q", "d"]]),
        (layers.IntegerLookup(output_mode="count"), [[5, 6, 7]]),
        (layers.Hashing(7, salt=[1, 2], mask_value="a"), [["a", "b"]]),
        (layers.HashedCrossing(7, output_mode="one_hot"), (["a"], [1])),
        (layers.SpatialDropout1D(0.5, seed=1), np.ones((2, 3, 4), "f4")),
        (layers.GlobalAveragePooling1D(keepdims=True), np.ones((2, 3, 4), "f4")),
        (layers.GlobalMaxPooling2D(data_format="channels_first"), np.ones((2, 3, 4, 5), "f4")),
        (layers.Resizing(3, 2, "nearest"), np.ones((2, 4, 4, 1), "f4")),
        (layers.CenterCrop(2, 2), np.ones((2, 4, 4, 1), "f4")),
    ):
        if isinstance(lookup, layers.StringLookup):
            lookup.adapt(WORDS)
        elif isinstance(lookup, layers.IntegerLookup):
            lookup.adapt([5, 7, 7])
        np.testing.assert_array_equal(again(lookup)(x).numpy(), lookup(x).numpy())
    path = tmp_path / "words.txt"
    path.write_text("b\na\n", "utf-8")
    assert layers.StringLookup(vocabulary=str(path)).get_vocabulary() == ["[UNK]", "b", "a"]


def test_words_stay_before_the_model():
    lookup = layers.StringLookup(vocabulary=["a", "b"])
    with pytest.raises(ValueError, match="before the model"):
        lookup(densa.Input((1,)))
    with pytest.raises(ValueError, match="before the model"):
        layers.Hashing(3)(densa.Input((1,)))
    model = densa.Sequential([densa.Input((2,), dtype="int64"), layers.Embedding(3, 4),
                              layers.GlobalAveragePooling1D(), layers.Dense(1)])  # fmt: skip
    model.compile("sgd", "mse")
    x = lookup(np.array([["a", "b"], ["b", "new"]]))
    model.fit(x, np.ones((2, 1)), verbose=0)
    with pytest.raises(ValueError, match="numbers"):
        model.fit(np.array([["a", "b"]]), np.ones((1, 1)), verbose=0)


@pytest.mark.parametrize("oov", [1, 3])
@pytest.mark.parametrize("mask", [None, 0])
def test_integers_in_a_model(oov, mask):
    """Trained, frozen and saved as a part of the network."""
    lookup = layers.IntegerLookup(num_oov_indices=oov, mask_token=mask)
    lookup.adapt(np.array([30, -7, 30, 12, 0]))
    rest = [30, 12, *([0] if mask is None else []), -7]
    assert lookup.get_vocabulary() == [*([] if mask is None else [0]), *[-1] * oov, *rest]
    x = np.array([[30, 0], [12, 99], [-7, 4], [5, -2]])
    start = 0 if mask is None else 1
    place = {v: i + start + oov for i, v in enumerate(rest)}
    if mask is not None:
        place[0] = 0
    expected = [[place.get(v, start + (v % oov)) for v in row] for row in x.tolist()]
    assert lookup(x).numpy().tolist() == expected
    model = densa.Sequential([densa.Input((2,), dtype="int64"), lookup,
                              layers.Embedding(lookup.vocabulary_size(), 3), layers.Flatten(),
                              layers.Dense(1)])  # fmt: skip
    model.compile("sgd", "mse")
    model.fit(x, np.ones((4, 1)), verbose=0)
    native = model.predict(x, verbose=0)
    np.testing.assert_allclose(model.freeze(calibration=x)(x), native, rtol=1e-6)
    by_hand = layers.Dense(1)
    by_hand.build((None, 6))
    by_hand.set_weights(model.layers[-1].get_weights())
    table = model.layers[1].get_weights()[0]
    np.testing.assert_allclose(by_hand(table[np.array(expected)].reshape(4, 6)).numpy(), native,
                               rtol=1e-5)  # fmt: skip


def test_siphash():
    """The paper's vector, appendix A; and the bins that Keras documents for salted Hashing."""
    assert siphash(bytes(range(15)), (0x0706050403020100, 0x0F0E0D0C0B0A0908)) == 0xA129CA6149BE45E5
    letters = [["A"], ["B"], ["C"], ["D"], ["E"]]
    assert layers.Hashing(3, salt=133)(letters).numpy().ravel().tolist() == [0, 0, 2, 1, 0]
    assert layers.Hashing(3, salt=[133, 137])(letters).numpy().ravel().tolist() == [1, 2, 1, 0, 2]


def test_hashing():
    words = np.array([f"w{i}" for i in range(400)])
    ids = layers.Hashing(8)(words).numpy()
    assert set(ids.tolist()) == set(range(8))
    assert np.bincount(ids).min() > 20  # even: 50 are expected in each, 6.6 off as a rule
    np.testing.assert_array_equal(layers.Hashing(8)(np.arange(5)).numpy(),
                                  layers.Hashing(8)(np.arange(5).astype(str)).numpy())  # fmt: skip
    masked = layers.Hashing(8, mask_value="w3")(words).numpy()
    assert masked[3] == 0
    assert (np.delete(masked, 3) > 0).all()
    hot = layers.Hashing(4, output_mode="one_hot")(words[:3])
    assert hot.shape == (3, 4)
    cross = layers.HashedCrossing(1000)
    a, b = cross((["a", "ab", "a"], ["bc", "c", "bc"])), cross((["a", "a"], [1, 2]))
    assert a.numpy()[0] == a.numpy()[2] != a.numpy()[1]
    assert b.numpy()[0] != b.numpy()[1]


@pytest.mark.parametrize(
    ("match", "error", "call"),
    [
        ("no vocabulary yet", ValueError, lambda: layers.StringLookup()(["a"])),
        ("takes text", TypeError, lambda: layers.StringLookup(vocabulary=["a"])(np.ones(2))),
        ("takes text", TypeError, lambda: layers.StringLookup(vocabulary=["a"])(["a", None])),
        ("twice", ValueError, lambda: layers.StringLookup(vocabulary=["a", "a"])),
        ("no token", ValueError, lambda: layers.StringLookup(vocabulary=[])),
        ("no token", ValueError, lambda: layers.StringLookup().adapt(np.array([], str))),
        ("no token", ValueError, lambda: layers.IntegerLookup().adapt(np.array([], int))),
        ("no token", ValueError, lambda: layers.TextVectorization().adapt(np.array([], str))),
        ("whole numbers; got 'a'", TypeError, lambda: layers.IntegerLookup(vocabulary=["a"])),
        ("whole numbers; got nan", TypeError, lambda: layers.IntegerLookup(vocabulary=[np.nan])),
        ("more than max", ValueError, lambda: layers.StringLookup(2, vocabulary=["a", "b"])),
        ("no place", ValueError, lambda: layers.StringLookup(1)),
        ("output_mode", ValueError, lambda: layers.StringLookup(output_mode="words")),
        ("idf_weights", ValueError,
         lambda: layers.StringLookup(vocabulary=["a"], output_mode="tf_idf")),
        ("not in the vocabulary", ValueError,
         lambda: layers.StringLookup(vocabulary=["a"], num_oov_indices=0)(["b"])),
        ("not in the vocabulary", ValueError,
         lambda: layers.IntegerLookup(vocabulary=[1], num_oov_indices=0)([2])),
        ("whole number", ValueError, lambda: layers.IntegerLookup(vocabulary=[1])([1.5])),
        ("takes whole numbers", TypeError, lambda: layers.IntegerLookup().adapt(["a"])),
        ("holds whole numbers; got 'a'", TypeError, lambda: layers.IntegerLookup(vocabulary=["a"])),
        ("holds whole numbers; got nan", TypeError,
         lambda: layers.IntegerLookup(vocabulary=[1, np.nan])),
        ("Hashing take whole", TypeError, lambda: layers.Hashing(3)([1.5])),
        ("sparse", ValueError, lambda: layers.Hashing(3, sparse=True)),
        ("salt", ValueError, lambda: layers.Hashing(3, salt=[1, 2, 3])),
        ("at least 1", ValueError, lambda: layers.Hashing(0)),
        ("one shape", ValueError, lambda: layers.HashedCrossing(3)((["a"], ["b", "c"]))),
        ("two features", ValueError, lambda: layers.HashedCrossing(3)(["a"])),
        ("batch, steps", ValueError,
         lambda: layers.SpatialDropout1D(0.5)(np.ones((2, 3)), training=True)),
        ("interpolation", ValueError, lambda: layers.Resizing(2, 2, "cubic")),
    ],
)  # fmt: skip
def test_bad_input(match, error, call):
    with pytest.raises(error, match=match):
        call()


# ---- other layers --------------------------------------------------------------------------------

RNG = np.random.default_rng(2)


def test_spatial_dropout_in_steps():
    x = RNG.normal(size=(64, 5, 8)).astype("f4") + 3
    y = layers.SpatialDropout1D(0.25, seed=3)(x, training=True).numpy()
    kept = y != 0
    assert (kept == kept[:, :1]).all()
    np.testing.assert_allclose(y[kept], (x / 0.75)[kept], rtol=1e-6)
    assert 0.6 < kept.mean() < 0.9
    np.testing.assert_array_equal(layers.SpatialDropout1D(0.25)(x).numpy(), x)
    model = densa.Sequential([densa.Input((5, 8)), layers.SpatialDropout1D(0.25),
                              layers.GlobalMaxPooling1D(), layers.Dense(1)])  # fmt: skip
    model.compile("sgd", "mse")
    model.fit(x, np.ones((64, 1)), verbose=0)
    np.testing.assert_allclose(model.freeze()(x), model.predict(x, verbose=0), rtol=1e-5)


@pytest.mark.parametrize("keepdims", [False, True])
def test_global_pooling(keepdims):
    line, image = (
        RNG.normal(size=(2, 5, 3)).astype("f4"),
        RNG.normal(size=(2, 4, 5, 3)).astype("f4"),
    )
    for kind, how in (("Average", np.mean), ("Max", np.max)):
        one = getattr(layers, f"Global{kind}Pooling1D")
        two = getattr(layers, f"Global{kind}Pooling2D")
        assert getattr(layers, f"Global{kind[:3]}Pool1D".replace("Ave", "Avg")) is one
        expected = how(line, 1, keepdims=keepdims)
        np.testing.assert_allclose(one(keepdims=keepdims)(line).numpy(), expected, rtol=1e-5)
        np.testing.assert_allclose(
            one("channels_first", keepdims=keepdims)(line).numpy(), how(line, 2, keepdims=keepdims),
            rtol=1e-5, atol=1e-6,
        )  # fmt: skip
        got = two(keepdims=keepdims)(image)
        assert got.shape == two(keepdims=keepdims).compute_output_shape((2, 4, 5, 3))
        np.testing.assert_allclose(got.numpy(), how(image, (1, 2), keepdims=keepdims), rtol=1e-5)


def test_the_mean_of_words_leaves_masked_ones_out():
    ids = np.array([[3, 1, 0, 0], [2, 0, 0, 0]])
    embedding = layers.Embedding(4, 5, mask_zero=True)
    model = densa.Sequential([densa.Input((4,), dtype="int64"), embedding,
                              layers.GlobalAveragePooling1D()])  # fmt: skip
    table = embedding.get_weights()[0]
    expected = [(table[3] + table[1]) / 2, table[2]]
    np.testing.assert_allclose(model.predict(ids, verbose=0), expected, rtol=1e-5)
    np.testing.assert_allclose(model(ids).numpy(), expected, rtol=1e-5)
    nothing = model.predict(np.zeros((1, 4), "int64"), verbose=0)
    np.testing.assert_array_equal(nothing, np.zeros((1, 5)))  # Keras: 0 / 0


def test_images_of_one_size():
    images = RNG.uniform(size=(2, 6, 8, 3)).astype("f4")
    np.testing.assert_array_equal(layers.CenterCrop(2, 4)(images).numpy(), images[:, 2:4, 2:6])
    assert layers.CenterCrop(12, 4)(images).shape == (2, 12, 4, 3)
    np.testing.assert_array_equal(
        layers.Resizing(3, 4, antialias=True)(images).numpy(),
        densa.ops.image.resize(images, (3, 4), antialias=True).numpy(),
    )
    model = densa.Sequential([densa.Input((6, 8, 3)), layers.Resizing(3, 4),
                              layers.CenterCrop(2, 2), layers.Flatten(),
                              layers.Dense(2)])  # fmt: skip
    model.compile("sgd", "mse")
    model.fit(images, np.ones((2, 2)), verbose=0)
    np.testing.assert_allclose(model.freeze()(images), model.predict(images, verbose=0), rtol=1e-5)
