"""Circle loss against its formula, and in steps."""

import numpy as np
import pytest

import densa
from densa import losses

RNG = np.random.default_rng(0)
X = RNG.normal(size=(7, 3))
X /= np.linalg.norm(X, axis=1, keepdims=True)
Y = np.array([0, 1, 0, 2, 1, 0, 0])  # 2 stands alone


def reference(labels, x, ref_labels, refs, skip, gamma, margin):
    """Row by row, in the paper's terms of similarities s: its equations 6 and 7."""
    out = []
    for i, row in enumerate(x):
        same = other = 0.0
        for j, ref in enumerate(refs):
            s = row @ ref
            if labels[i] == ref_labels[j]:
                if not (skip and i == j):
                    same += np.exp(-gamma * max(0, 1 + margin - s) * (s - (1 - margin)))
            else:
                other += np.exp(gamma * max(0, s + margin) * (s - margin))
        out.append(np.log(1 + same * other))
    return np.array(out)


@pytest.mark.parametrize(("gamma", "margin"), [(80, 0.4), (10, 0.25)])
@pytest.mark.parametrize("skip", [False, True])
def test_formula(gamma, margin, skip):
    expected = reference(Y, X, Y, X, skip, gamma, margin)
    got = losses.circle(Y, X, remove_diagonal=skip, gamma=gamma, margin=margin).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)
    loss = losses.Circle(gamma, margin, remove_diagonal=skip)
    np.testing.assert_allclose(float(loss(Y[:, None], X)), expected.mean(), rtol=1e-6)
    refs = X[::-1]
    got = losses.circle(Y, X, Y[::-1], refs, gamma=gamma, margin=margin).numpy()
    expected = reference(Y, X, Y[::-1], refs, False, gamma, margin)
    np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_gradient():
    _, grad = densa.value_and_grad(lambda x: losses.circle(Y, x, gamma=5.0).sum())(X)
    for place in np.ndindex(X.shape):
        up, down = X.copy(), X.copy()
        up[place] += 1e-6
        down[place] -= 1e-6
        slope = (reference(Y, up, Y, up, True, 5.0, 0.4)
                 - reference(Y, down, Y, down, True, 5.0, 0.4)).sum() / 2e-6  # fmt: skip
        np.testing.assert_allclose(grad.numpy()[place], slope, rtol=1e-5, atol=1e-7)


def test_it_trains():
    x = RNG.normal(size=(60, 4)).astype("f4")
    y = (x[:, 0] > 0).astype(int)
    model = densa.Sequential([densa.Input((4,)), densa.layers.Dense(16, "relu"),
                              densa.layers.Dense(2), densa.layers.UnitNormalization()])  # fmt: skip
    model.compile(densa.optimizers.Adam(0.02), losses.Circle(gamma=8.0))
    history = model.fit(x, y, batch_size=20, epochs=30, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]
    again = losses.deserialize(losses.serialize(losses.Circle(gamma=8.0)))
    assert again.get_config() == losses.Circle(gamma=8.0).get_config()


def test_bad_input():
    with pytest.raises(ValueError, match="rows, features"):
        losses.circle(Y, X[:, 0])
    with pytest.raises(ValueError, match="neither"):
        losses.circle(Y, X, ref_labels=Y)
    with pytest.raises(TypeError, match="gamma"):
        losses.Circle(gamma="steep")
