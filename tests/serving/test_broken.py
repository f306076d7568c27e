"""Whatever a client sends, the answer is right or an error that is the client's."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import densa
from densa.serving import protocol
from serving.client import binary_request, call, json_request
from serving.predictors import Sums

SUMS = {"a": np.array([[1, -2, 3], [0, 0, 0.5]], "float32"), "n": np.array([[10], [20]])}
MORE = {
    "id": "7",
    "parameters": {"binary_data_output": False},
    "outputs": [{"name": "total", "parameters": {"binary_data": True}}, {"name": "any"}],
}
JSON = json_request(SUMS, **MORE)
BINARY, HEADERS = binary_request(SUMS, **MORE)
LENGTH = "inference-header-content-length"

WORDS = ["a", "n", "x", "total", "any", "name", "shape", "datatype", "data", "parameters", "FP32"]
WORDS += ["INT64", "inputs", "outputs", "binary_data_size", "binary_data", "\ud800", "\0"]
NUMBERS = st.sampled_from([0, 1, -1, 2, 3, 24, 1.0, 1e39, 1e400, 2**63, -(2**64), 10**40])
LEAVES = (
    st.none()
    | st.booleans()
    | NUMBERS
    | st.integers()
    | st.floats()
    | st.sampled_from(WORDS)
    | st.text(max_size=5)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(WORDS[:-2]) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module", params=["orjson", "json"])
def app(request):
    """The service under attack, with both JSON libraries."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "orjson":
            pytest.importorskip("orjson")
        else:
            patch.setattr(protocol, "_orjson", lambda: None)
        yield densa.serving.asgi(Sums(), max_body=1 << 16)


def check(app, body, headers=()):
    """The answer is an error of the client's, or outputs as they are described."""
    response = call(app, "POST", "/v2/models/model/infer", body, headers)
    if response.status == 200:
        found = response.outputs()
        assert len({len(y) for y in found.values()}) == 1
        assert found.keys() <= {"total", "any"}
    else:
        assert response.status in (400, 413, 415), response.body
        assert response.error
        assert "index out of range" not in response.error
    return response


def places(value, path=()):
    """The path of every value inside a value."""
    yield path
    if isinstance(value, (list, dict)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


def replaced(value, path, new):
    """A copy with something else in one place; `...` takes it away."""
    if not path:
        return None if new is ... else new
    key, *rest = path
    copy = value.copy()
    if new is ... and not rest:
        del copy[key]
    else:
        copy[key] = replaced(value[key], rest, new)
    return copy


HEAD = json.loads(BINARY[: HEADERS[0][1]])
TAIL = BINARY[HEADERS[0][1] :]


@given(st.sampled_from(list(places(json.loads(JSON)))), VALUES | st.just(...))
def test_json_with_something_else_in_it(app, path, new):
    check(app, json.dumps(replaced(json.loads(JSON), path, new)).encode())


@given(st.sampled_from(list(places(HEAD))), VALUES | st.just(...), st.integers(-2, 2))
def test_binary_with_something_else_in_it(app, path, new, off):
    head = json.dumps(replaced(HEAD, path, new)).encode()
    check(app, head + TAIL, [(LENGTH, len(head) + off)])


@given(st.data())
def test_other_bytes(app, data):
    """Bytes changed, taken away, doubled or put in, anywhere."""
    body, headers = data.draw(st.sampled_from([(JSON, []), (BINARY, HEADERS)]))
    body = bytearray(body)
    for _ in range(data.draw(st.integers(1, 4))):
        start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(body))] * 2)))
        stop = min(stop, start + data.draw(st.integers(0, 8)))
        old = bytes(body[start:stop])
        body[start:stop] = data.draw(
            st.binary(max_size=4)
            | st.just(old * 2)
            | st.sampled_from([b"", b"[", b"]", b"{", b"}", b",", b"NaN", b"-Infinity", b'"', b"9"])
        )
    check(app, bytes(body), headers)


@given(st.binary(max_size=200), st.binary(max_size=20) | st.none())
def test_any_bytes_and_any_header(app, body, length):
    headers = [] if length is None else [(LENGTH, length.decode("latin-1"))]
    check(app, body, headers)


@given(st.integers(0, 1 << 17), st.integers(-5, 1 << 18))
def test_any_length(app, size, length):
    check(app, BINARY + bytes(size), [(LENGTH, length)])


@given(st.integers(0, 6), st.integers(0, 6), st.data())
def test_right_requests_are_answered_right(app, rows, cut, data):
    """Random ones: the service's answer is the predictor's."""
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    arrays = {
        "a": rng.standard_normal((rows, 3)).astype("float32"),
        "n": rng.integers(-9, 9, (rows, 1)),
    }
    as_binary = data.draw(st.booleans())
    body, headers = binary_request(arrays) if as_binary else (json_request(arrays), [])
    response = call(
        app,
        "POST",
        "/v2/models/model/infer",
        headers=headers,
        parts=[body[:cut], body[cut:]],
    )
    found = response.outputs()
    expected = arrays["a"].astype("float64").sum(1, keepdims=True) + arrays["n"]
    np.testing.assert_allclose(found["total"], expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(found["any"], arrays["a"] > 0)
