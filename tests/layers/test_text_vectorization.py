"""Sentences as numbers: standardizing, splitting, ngrams, every output, saving, a trained bag."""

import numpy as np
import pytest

import densa
from densa import layers

TEXTS = ["The cat sat on the mat.", "The dog; the cat!"]


def test_numbers():
    layer = layers.TextVectorization()
    layer.adapt(TEXTS)
    words = layer.get_vocabulary()
    assert words[:4] == ["", "[UNK]", "the", "cat"]
    assert set(words[4:]) == {"sat", "on", "mat", "dog"}
    ids = layer(np.array([["THE cat"], ["a dog, the cat"]]))
    at = words.index
    assert ids.numpy().tolist() == [[2, 3, 0, 0], [1, at("dog"), 2, 3]]
    assert layer("the").numpy().tolist() == [2]
    assert layer([""]).shape == (1, 0)
    fixed = layers.TextVectorization(output_sequence_length=3, vocabulary=words)
    assert fixed(["the cat the cat", "dog"]).numpy().tolist() == [[2, 3, 2], [at("dog"), 0, 0]]
    assert fixed.compute_output_shape((None,)) == (None, 3)


@pytest.mark.parametrize(
    ("how", "text", "tokens"),
    [
        ({"standardize": None}, "A b.", ["A", "b."]),
        ({"standardize": "lower"}, "A b.", ["a", "b."]),
        ({"standardize": "strip_punctuation"}, "A b's-x.", ["A", "bsx"]),
        ({"split": "character"}, "Ab", ["a", "b"]),
        ({"split": lambda text: text.split(";"), "standardize": None}, "a b;c", ["a b", "c"]),
        ({"standardize": lambda text: text.upper()}, "ab c", ["AB", "C"]),
        ({"ngrams": 2}, "a b c", ["a", "b", "c", "a b", "b c"]),
        ({"ngrams": (3,)}, "a b c d", ["a b c", "b c d"]),
    ],
)
def test_tokens(how, text, tokens):
    layer = layers.TextVectorization(**how, vocabulary=sorted(set(tokens)))
    words = layer.get_vocabulary()
    assert [words[i] for i in layer([text]).numpy()[0]] == tokens


def test_split_already():
    layer = layers.TextVectorization(split=None, vocabulary=["a", "b"])
    assert layer([["a", "b"], ["B.", "x"]]).numpy().tolist() == [[2, 3], [3, 1]]


def test_bags():
    words = ["a", "b", "c"]
    x = ["a a c", "zz b", ""]
    multi = layers.TextVectorization(output_mode="multi_hot", vocabulary=words)
    assert multi(x).numpy().tolist() == [[0, 1, 0, 1], [1, 0, 1, 0], [0, 0, 0, 0]]
    count = layers.TextVectorization(
        5, output_mode="count", vocabulary=words, pad_to_max_tokens=True
    )
    assert count(x).numpy().tolist() == [[0, 2, 0, 1, 0], [1, 0, 1, 0, 0], [0, 0, 0, 0, 0]]
    assert count.compute_output_shape((None,)) == (None, 5)
    weighted = layers.TextVectorization(output_mode="tf_idf")
    weighted.adapt(["a b", "a a"])
    idf = np.log(1 + 2 / (1 + np.array([2.0, 1.0])))
    np.testing.assert_allclose(weighted(["a a b"]).numpy(), [[0, 2 * idf[0], idf[1]]], rtol=1e-6)


def test_saved(tmp_path):
    @densa.saving.register_keras_serializable("tests")
    def halves(text):
        return text.split("|")

    for how in ({}, {"output_mode": "tf_idf"}, {"ngrams": 2}, {"split": halves}):
        layer = layers.TextVectorization(**how)
        layer.adapt(TEXTS)
        again = layers.deserialize(layers.serialize(layer))
        np.testing.assert_array_equal(again(TEXTS).numpy(), layer(TEXTS).numpy())


def test_a_bag_of_words_is_learnt():
    rng = np.random.default_rng(0)
    good, bad, rest = ["fine", "great"], ["poor", "awful"], ["film", "plot", "it", "was"]
    y = rng.integers(0, 2, 200)
    texts = [" ".join(rng.permutation([*rng.choice(rest, 4), rng.choice((bad, good)[label])]))
             for label in y]  # fmt: skip
    bag = layers.TextVectorization(output_mode="multi_hot")
    bag.adapt(texts)
    model = densa.Sequential([densa.Input((bag.vocabulary_size(),)),
                              layers.Dense(1, activation="sigmoid")])  # fmt: skip
    model.compile(densa.optimizers.Adam(0.1), "binary_crossentropy", metrics=["accuracy"])
    model.fit(bag(texts), y, epochs=20, verbose=0)
    assert model.evaluate(bag(texts), y, verbose=0)[1] == 1.0


def test_no_rows():
    assert layers.TextVectorization(vocabulary=["a"])(np.array([], str)).shape == (0, 0)
    bag = layers.TextVectorization(vocabulary=["a"], output_mode="count")
    assert bag(np.array([], str)).shape == (0, 2)


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (ValueError, "no vocabulary", lambda: layers.TextVectorization()(["a"])),
        (ValueError, "before the model", lambda: layers.TextVectorization()(densa.Input((1,)))),
        (ValueError, "split", lambda: layers.TextVectorization(split="words")),
        (ValueError, "standardize", lambda: layers.TextVectorization(standardize="upper")),
        (ValueError, "output_mode", lambda: layers.TextVectorization(output_mode="one_hot")),
        (ValueError, "ngrams", lambda: layers.TextVectorization(ngrams=0)),
        (ValueError, "is for output_mode 'int'",
         lambda: layers.TextVectorization(output_mode="count", output_sequence_length=3)),
        (ValueError, "ragged", lambda: layers.TextVectorization(ragged=True)),
        (ValueError, "one text for each row",
         lambda: layers.TextVectorization(vocabulary=["a"])([["a", "b"]])),
        (TypeError, "takes text", lambda: layers.TextVectorization(vocabulary=["a"])([1.0])),
        (ValueError, "no token", lambda: layers.TextVectorization().adapt([""])),
        (ValueError, "no token", lambda: layers.TextVectorization().adapt([])),
    ],
)  # fmt: skip
def test_bad_input(error, match, call):
    with pytest.raises(error, match=match):
        call()
