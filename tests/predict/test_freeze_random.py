"""Random networks, frozen: as near to float64 as before, nothing lost, nothing hidden."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import densa
from densa._core import apply
from densa._folding import within_bound
from ops import specs
from predict.freezing import TANH, Chain, Dense, Norm, Unary, distance, freeze, norm_of, record, run

pytestmark = pytest.mark.cpu_only("freezing is a pass over programs")


STAIRS = {"sign", "floor", "ceil", "round"}  # a rounding before them is no rounding behind them
NARROW = {"sqrt", "rsqrt", "reciprocal", "log", "log1p"}  # not of all numbers
WILD = {"exp", "expm1"}  # e^z of what a few layers give is infinite
ACTIVATIONS = [s for s in specs.UNARY if s.name not in STAIRS | NARROW | WILD]


def random_norm(rng, name, seen, zeros=True):
    """Averages are those of what was seen; factors are negative at times, or zero."""
    size = seen.shape[1]
    gamma = rng.uniform(0.3, 2, size) * rng.choice([-1, 1], size)
    if zeros:
        gamma *= few(rng, size, [0])
    return Norm(name, gamma, rng.normal(size=size), seen.mean(0), seen.var(0))


def few(rng, size, others):
    """Ones, with some of the others behind the first half."""
    factors = rng.choice([1, 1, 1, *others], size)
    factors[: 1 + size // 2] = 1
    return factors


def random_chain(rng, x):
    """Dense layers with activations, batch norms before, behind and first; for numbers like x."""
    chain, seen = Chain(), x

    def add(part):
        nonlocal seen
        chain.append(part)
        seen = part.numpy(seen)

    if rng.random() < 0.5:
        add(random_norm(rng, "first", seen))
    for i in range(rng.integers(1, 4)):
        units = int(rng.choice([2, 5, 16, 17, 33]))
        dense = Dense(rng, f"dense_{i}", seen.shape[1], units, bias=rng.random() < 0.7)
        before, behind = rng.random(2) < 0.4
        # Between two norms all units vary: the second would make noise of those that do not.
        still = not (before and behind)
        if still:
            dense.w.assign(dense.w.numpy() * few(rng, units, [1e-3, 0]).astype("float32"))
        add(dense)
        if before:
            add(random_norm(rng, f"before_{i}", seen, still))
        if rng.random() < 0.8:
            add(Unary(ACTIVATIONS[rng.integers(len(ACTIVATIONS))]))
        if behind:
            add(random_norm(rng, f"behind_{i}", seen))
    add(Dense(rng, "last", seen.shape[1], 7))
    return chain


def random_inputs(rng):
    size = int(rng.choice([3, 8, 20]))
    spread, centre = rng.uniform(0.5, 2, size), rng.normal(size=size) * rng.choice([1, 3])
    return (rng.normal(size=(200, size)) * spread + centre).astype("float32")


@given(st.integers(0, 2**32 - 1))
def test_random_networks_in_float64(seed):
    rng = np.random.default_rng(seed)
    x = random_inputs(rng)
    chain = random_chain(rng, x.astype("float64"))
    reference = chain.numpy(x.astype("float64"))
    program = record(chain, (x.shape[1:], "float32"))
    for options in ({}, {"merge": False}, {"prune": False}, {"fold": False}):
        frozen, _ = freeze(program, "float64", **options)
        assert distance(run(frozen, x), reference) < 1e-12, options
        assert "variable" not in str(frozen)
        assert "activation" not in str(frozen)


# Known seeds: where a norm magnifies a rounding 30 times, luck decides on which side it is larger,
# and about one random network in 2000 is unlucky.
@pytest.mark.parametrize("first", range(0, 300, 30))
def test_random_networks_in_float32(first):
    for seed in range(first, first + 30):
        rng = np.random.default_rng(seed)
        x = random_inputs(rng)
        chain = random_chain(rng, x.astype("float64"))
        reference = chain.numpy(x.astype("float64"))
        program = record(chain, (x.shape[1:], "float32"))
        plain = distance(run(program, x), reference)
        frozen, _ = freeze(program, "float32")
        assert distance(run(frozen, x), reference) <= 2 * plain + 1e-6, seed


def test_the_bound_holds_on_rows_that_are_given():
    unlucky = 0
    # Unlucky ones of 30000 seeds, where sums have the bits of fused multiply-adds; and some others.
    for seed in [718, 3079, 3252, 5208, 8543, 9230, 17350, 20498, *range(20)]:
        rng = np.random.default_rng(seed)
        x = random_inputs(rng)
        chain = random_chain(rng, x.astype("float64"))
        reference = chain.numpy(x.astype("float64"))
        program = record(chain, (x.shape[1:], "float32"))

        def make(program=program, **options):
            made, report = program.freeze(["y0"], **options)
            assert isinstance(made, densa.Predictor)
            return made, report

        off = {"fold": False, "merge": False, "prune": False}
        first, plain, exact = make(), make(**off)[0], make(dtype="float64", **off)[0]
        predictor, report = within_bound(make, first, plain, exact, [x])
        limit = 2 * distance(run(program, x), reference) + 1e-6
        assert distance(predictor(x), reference) <= limit, seed
        too_large = distance(first[0](x), reference) > limit
        # The others stay as they were.
        assert (predictor is first[0]) == (not too_large)
        left = [line for line in report["kept"] if "with all foldings the error is" in line]
        assert bool(left) == too_large
        unlucky += too_large
    assert unlucky > 0


def test_what_is_to_stay_stays():
    rng = np.random.default_rng(0)
    chain = Chain(
        [
            norm_of(rng, "first", 6),
            Dense(rng, "a", 6, 4),
            norm_of(rng, "second", 4),
            Unary(TANH),
            Dense(rng, "b", 4, 4),
            Dense(rng, "c", 4, 4),
        ]
    )
    x = rng.normal(size=(30, 6)).astype("float32")
    program = record(chain, (x.shape[1:], "float32"))
    _, report = program.freeze(["y0"])
    names = ["first/mean", "second/mean", "b/kernel and c/kernel"]
    done = [line.split(" into ")[0] for line in report["folded"]]
    done += [line.split(": ")[0] for line in report["merged"]]
    assert sorted(done) == sorted(names)
    for name in names:
        predictor, report = program.freeze(["y0"], keep={name: "as was said", "other": "no"})
        listed = report["folded"] + report["merged"]
        assert len(listed) == 2
        assert not any(line.startswith(name) for line in listed)
        (kept,) = report["kept"]
        assert kept.split(";")[0] == f"{name}: as was said"
        assert distance(predictor(x), chain.numpy(x.astype("float64"))) < 3e-6
    everything = dict.fromkeys(names, "so")
    predictor, report = program.freeze(["y0"], keep=everything)
    assert report["folded"] == report["merged"] == []
    assert len(report["kept"]) == 3
    assert distance(predictor(x), chain.numpy(x.astype("float64"))) < 3e-6


class Graph:
    """Values that several read, sums, concatenates, more axes, outputs anywhere."""

    def __init__(self, rng, size):
        self.steps, sizes = [], [size]  # of each value: what makes it, and its columns
        for i in range(rng.integers(3, 10)):
            j = int(rng.integers(max(0, len(sizes) - 3), len(sizes)))
            same = [k for k, other in enumerate(sizes) if other == sizes[j]]
            kind = rng.choice(["dense", "norm", "unary", "add", "join", "cube"], p=KINDS)
            if kind == "dense":
                units = int(rng.choice([2, 4, 6]))
                part = Dense(rng, f"dense_{i}", sizes[j], units, bias=rng.random() < 0.7)
                part.w.assign(part.w.numpy() * few(rng, units, [0]).astype("float32"))
                self.steps.append((part, j))
                sizes.append(units)
                continue
            if kind == "norm":
                self.steps.append((norm_of(rng, f"norm_{i}", sizes[j]), j))
            elif kind == "unary":
                self.steps.append((Unary(SMOOTH[rng.integers(len(SMOOTH))]), j))
            elif kind == "add":
                self.steps.append(("add", j, int(rng.choice(same))))
            elif kind == "join":
                k = int(rng.integers(len(sizes)))
                self.steps.append(("join", j, k))
                sizes.append(sizes[j] + sizes[k])
                continue
            else:
                self.steps.append((norm_of(rng, f"cube_{i}", 2, axis=1 + i % 2), "cube", j))
                if sizes[j] % 4:
                    self.steps[-1] = (Unary(TANH), j)
            sizes.append(sizes[j])
        last = {len(sizes) - 1, *(int(k) for k in rng.integers(1, len(sizes), 1 + len(sizes) // 6))}
        self.outputs = sorted(last)

    def values(self, x, recording):
        seen = [x]
        for part, *at in self.steps:
            call = part if recording or isinstance(part, str) else part.numpy
            if part == "add":
                y = seen[at[0]] + seen[at[1]]
            elif part == "join":
                parts = [seen[k] for k in at]
                y = (
                    apply("concatenate", *parts, axis=-1)
                    if recording
                    else np.concatenate(parts, -1)
                )
            elif at[0] == "cube":
                shape = [-1, seen[at[1]].shape[1]]
                y = reshape(call(reshape(seen[at[1]], [-1, 2, 2, shape[1] // 4])), shape)
            else:
                y = call(seen[at[0]])
            seen.append(y)
        return [seen[k] for k in self.outputs]

    def __call__(self, x):
        return self.values(x, recording=True)

    def numpy(self, x):
        return self.values(x, recording=False)


def joined(parts):
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts, -1)
    return apply("concatenate", *parts, axis=-1)


def reshape(x, shape):
    return x.reshape(shape) if isinstance(x, np.ndarray) else apply("reshape", x, shape=shape)


KINDS = [0.35, 0.2, 0.2, 0.1, 0.1, 0.05]
SMOOTH = [s for s in specs.UNARY if s.name in {"relu", "tanh", "gelu", "sigmoid", "leaky_relu"}]


@given(st.integers(0, 2**32 - 1))
def test_random_graphs(seed):
    rng = np.random.default_rng(seed)
    graph = Graph(rng, 4)
    x = rng.normal(size=(7, 4)).astype("float32")
    program = record(graph, ((4,), "float32"))
    for dtype, most in (("float64", 1e-12), ("float32", 1e-4)):
        frozen, report = freeze(program, dtype)
        got = run(frozen, x)
        got = got if isinstance(got, list) else [got]
        for y, wanted in zip(got, graph.numpy(x.astype("float64")), strict=True):
            size = np.abs(wanted).max() + 1e-3
            np.testing.assert_allclose(y, wanted, rtol=0, atol=most * size)
        # Every norm that an output needs went somewhere, or is listed.
        listed = " ".join(report["folded"] + report["kept"])
        plain, _ = freeze(program, dtype, fold=False, merge=False, prune=False)
        for line in str(plain).splitlines():
            if " = constant " in line and "/mean" in line:
                assert line.split("constant ")[1].split(" : ")[0] in listed
