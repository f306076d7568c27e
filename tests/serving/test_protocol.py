"""Requests and answers: JSON and binary tensors, their types, and every refusal."""

import json
import sys

import numpy as np
import pytest

import densa
from densa.serving import protocol
from serving.client import binary_request, call, json_request
from serving.predictors import Echo, Sums, network

INFER = "/v2/models/model/infer"


@pytest.fixture(params=["orjson", "json"])
def library(request, monkeypatch):
    """Both JSON libraries."""
    if request.param == "orjson":
        pytest.importorskip("orjson")
    else:
        monkeypatch.setattr(protocol, "_orjson", lambda: None)


def values(dtype, shape, rng):
    """Random values of a type, its extremes among them."""
    if dtype == "bool":
        return rng.random(shape) < 0.5
    x = rng.standard_normal(shape).astype(dtype) if "float" in dtype else None
    if x is None:
        x = rng.integers(0, 100, shape).astype(dtype)
    if x.size > 1:
        limits = np.finfo(dtype) if "float" in dtype else np.iinfo(dtype)
        x.flat[0], x.flat[1] = limits.min, limits.max
    return x


DTYPES = "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 float32 float64".split()


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("rows", [0, 1, 5])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_there_and_back(dtype, rows):
    app = densa.serving.asgi(Echo(dtype, (None, 3)))
    x = values(dtype, (rows, 3), np.random.default_rng(5))
    body, headers = binary_request({"x": x})
    as_json = call(app, "POST", INFER, json_request({"x": x}))
    as_bytes = call(app, "POST", INFER, body, headers)
    both = call(app, "POST", INFER, json_request({"x": x}, parameters={"binary_data_output": True}))
    for response in (as_json, as_bytes, both):
        assert response.status == 200, response.body
        assert ("inference-header-content-length" in response.headers) == (response is both)
        y = response.outputs()["y"]
        assert y.dtype == x.dtype
        np.testing.assert_array_equal(y, x)


@pytest.mark.usefixtures("library")
def test_a_network_answers_as_its_predictor_does():
    predictor = network().freeze()
    app = densa.serving.asgi(predictor)
    x = np.random.default_rng(0).standard_normal((4, 64)).astype("float32")
    (expected,) = predictor.run([x])
    body, headers = binary_request({"x": x})
    for response in (
        call(app, "POST", INFER, json_request({"x": x})),
        call(app, "POST", INFER, body, headers),
    ):
        np.testing.assert_array_equal(response.outputs()["y"], expected)
    np.testing.assert_allclose(expected, network().predict(x, verbose=0), rtol=1e-5)
    answer = call(app, "POST", INFER, json_request({"x": x}, id="a-7")).json
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("model", "1", "a-7")
    assert answer["outputs"][0]["datatype"] == "FP32"


SUMS = {"a": np.array([[1, -2, 3], [0, 0, 0.5]], "float32"), "n": np.array([[10], [20]])}


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("order", [["a", "n"], ["n", "a"]])
def test_inputs_in_any_order(order):
    app = densa.serving.asgi(Sums())
    body, headers = binary_request({k: SUMS[k] for k in order})
    for response in (
        call(app, "POST", INFER, body, headers),
        call(app, "POST", INFER, json_request({k: SUMS[k] for k in order})),
    ):
        found = response.outputs()
        np.testing.assert_array_equal(found["total"], [[12.0], [20.5]])
        np.testing.assert_array_equal(found["any"], [[1, 0, 1], [0, 0, 1]])


def test_one_input_binary_and_one_json():
    app = densa.serving.asgi(Sums())
    a, n = SUMS["a"], SUMS["n"]
    head = json.dumps(
        {
            "inputs": [
                {"name": "n", "shape": [2, 1], "datatype": "INT64", "data": n.ravel().tolist()},
                {
                    "name": "a",
                    "shape": [2, 3],
                    "datatype": "FP32",
                    "parameters": {"binary_data_size": a.nbytes},
                },
            ]
        }
    ).encode()
    headers = [("inference-header-content-length", len(head))]
    found = call(app, "POST", INFER, head + a.tobytes(), headers).outputs()
    np.testing.assert_array_equal(found["total"], [[12.0], [20.5]])


@pytest.mark.parametrize(
    ("parameters", "outputs", "names", "binary"),
    [
        ({}, None, ["total", "any"], [False, False]),
        ({}, [], ["total", "any"], [False, False]),
        ({"binary_data_output": True}, None, ["total", "any"], [True, True]),
        ({}, [("any", None)], ["any"], [False]),
        ({}, [("any", True), ("total", None)], ["any", "total"], [True, False]),
        ({"binary_data_output": True}, [("any", False), ("total", None)], ["any", "total"], [0, 1]),
    ],
)
def test_outputs_asked_for(parameters, outputs, names, binary):
    more = {"parameters": parameters}
    if outputs is not None:
        more["outputs"] = [
            {"name": k, **({} if b is None else {"parameters": {"binary_data": b}})}
            for k, b in outputs
        ]
    response = call(densa.serving.asgi(Sums()), "POST", INFER, json_request(SUMS, **more))
    head = response.body[: int(response.headers.get("inference-header-content-length", 1 << 20))]
    answer = json.loads(head)["outputs"]
    assert [output["name"] for output in answer] == names
    assert ["data" not in output for output in answer] == list(map(bool, binary))
    found = response.outputs()
    if "total" in names:
        np.testing.assert_array_equal(found["total"], [[12.0], [20.5]])
    np.testing.assert_array_equal(found["any"], [[1, 0, 1], [0, 0, 1]])


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_nan_and_infinities_pass(dtype):
    """As words in JSON, as Triton's clients write and read them; as themselves in bytes."""
    app = densa.serving.asgi(Echo(dtype))
    x = np.array([[np.nan, np.inf], [-np.inf, 1]], dtype)
    response = call(app, "POST", INFER, json_request({"x": x}))
    assert b"NaN,Infinity,-Infinity,1.0" in response.body
    np.testing.assert_array_equal(response.outputs()["y"], x)
    body, headers = binary_request({"x": x}, outputs=[{"name": "y"}])
    np.testing.assert_array_equal(call(app, "POST", INFER, body, headers).outputs()["y"], x)


def test_bytes_at_any_place_are_aligned_for_the_predictor():
    seen = []

    class Looks(Echo):
        def run(self, arrays):
            seen.append(arrays[0].flags.aligned and arrays[0].flags.c_contiguous)
            return arrays

    app = densa.serving.asgi(Looks("float64"))
    x = np.arange(6.0).reshape(3, 2)
    for n in range(8):
        body, headers = binary_request({"x": x}, id="i" * n)
        np.testing.assert_array_equal(call(app, "POST", INFER, body, headers).outputs()["y"], x)
    assert seen == [True] * 8


def test_outputs_that_are_no_contiguous_arrays():
    class Turned(Echo):
        def run(self, arrays):
            return [np.asfortranarray(arrays[0])[:, ::-1]]

    x = np.arange(6, dtype="float32").reshape(3, 2)
    body, headers = binary_request({"x": x}, parameters={"binary_data_output": True})
    app = densa.serving.asgi(Turned())
    np.testing.assert_array_equal(
        call(app, "POST", INFER, body, headers).outputs()["y"], x[:, ::-1]
    )


def test_integers_are_numbers_of_floating_tensors():
    app = densa.serving.asgi(Echo("float32"))
    text = b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2.5]}]}'
    np.testing.assert_array_equal(call(app, "POST", INFER, text).outputs()["y"], [[1, 2.5]])


def good():
    """A request that is right, to be made wrong: x is FP32 of shape (rows, 2)."""
    return {
        "id": "1",
        "inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]}],
        "outputs": [{"name": "y"}],
    }


def changed(path, value):
    """`good` with something else in one place; `...` takes the place away."""
    request = good()
    at = request
    for key in path[:-1]:
        at = at[key]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return request


X = ("inputs", 0)
Y = ("outputs", 0)
REFUSED = [
    (("id",), 7, "id is 7, not a string"),
    (("id",), {"a": []}, "id is an object"),
    (("parameters",), [], "parameters is a list, not an object"),
    (("parameters",), {"binary_data_output": 1}, "'binary_data_output' is 1, not true or false"),
    (("inputs",), ..., "inputs is missing"),
    (("inputs",), {}, "inputs is an object, not a list"),
    (("inputs",), [], "Inputs are missing: 'x'"),
    (("inputs",), [3], "An input is 3, not an object"),
    (("inputs",), good()["inputs"] * 2, "'x' is there twice"),
    ((*X, "name"), ..., "No input has the name None; there are: 'x'"),
    ((*X, "name"), "z" * 500, "there are: 'x'"),
    ((*X, "name"), [], "there are: 'x'"),
    ((*X, "datatype"), ..., "datatype None, not 'FP32'"),
    ((*X, "datatype"), "FP64", "datatype 'FP64', not 'FP32'"),
    ((*X, "datatype"), "BYTES", "datatype 'BYTES', not 'FP32'"),
    ((*X, "shape"), ..., "shape is missing"),
    ((*X, "shape"), "22", "shape is '22', not a list"),
    ((*X, "shape"), [2], "has shape [2], not [any, 2]"),
    ((*X, "shape"), [2, 2, 1], "not [any, 2]"),
    ((*X, "shape"), [4, 1], "not [any, 2]"),
    ((*X, "shape"), [-2, 2], "not [any, 2]"),
    ((*X, "shape"), [True, 2], "not [any, 2]"),
    ((*X, "shape"), [2.0, 2], "not [any, 2]"),
    ((*X, "shape"), [None, 2], "not [any, 2]"),
    ((*X, "shape"), [[2], 2], "not [any, 2]"),
    ((*X, "shape"), [3, 2], "data has 4 values, but shape [3, 2] takes 6"),
    ((*X, "shape"), [65537, 2], "more than 65536 at once"),
    ((*X, "shape"), [10**30, 2], "Input 'x'"),
    ((*X, "data"), ..., "neither data nor a parameter binary_data_size"),
    ((*X, "data"), None, "data is missing or null"),
    ((*X, "data"), 5, "data is 5, not a list"),
    ((*X, "data"), "1234", "not a list"),
    ((*X, "data"), {}, "data is an object"),
    ((*X, "data"), [], "data has 0 values"),
    ((*X, "data"), [1, 2, 3], "data has 3 values"),
    ((*X, "data"), [1, 2, 3, 4, 5], "data has 5 values"),
    ((*X, "data"), [1, 2, "3", 4], "data has '3' among its FP32 values"),
    ((*X, "data"), [1, 2, None, 4], "missing or null among its FP32 values"),
    ((*X, "data"), [1, 2, True, 4], "data has True among"),
    ((*X, "data"), [1, 2, [3], 4], "data has a list among"),
    ((*X, "data"), [[1, 2], [3]], "list of 1 where its shape says 2"),
    ((*X, "data"), [[1, 2, 3, 4]], "list of 1 where its shape says 2"),
    ((*X, "data"), [[1, 2], 3], "a part of data is 3, not a list"),
    ((*X, "data"), [[1, 2], [3, [4]]], "data has a list among"),
    ((*X, "data"), [[[1], [2]], [[3], [4]]], "data has a list among"),
    ((*X, "data"), [1e39, 2, 3, 4], "beyond the range of FP32"),
    ((*X, "data"), [10**400, 2, 3, 4], "beyond the range|not JSON"),
    ((*X, "parameters"), "p", "parameters is 'p', not an object"),
    ((*X, "parameters"), {"shared_memory_region": "r"}, "'shared_memory_region' is not supported"),
    ((*X, "parameters"), {"binary_data_size": 16}, "Inference-Header-Content-Length"),
    (("outputs",), {}, "outputs is an object, not a list"),
    (("outputs",), ["y"], "An output is 'y', not an object"),
    (("outputs",), [{"name": "y"}, {"name": "y"}], "Output 'y' is there twice"),
    ((*Y, "name"), "x", "No output has the name 'x'; there are: 'y'"),
    ((*Y, "name"), ..., "No output has the name None"),
    ((*Y, "parameters"), 0, "parameters is 0, not an object"),
    ((*Y, "parameters"), {"binary_data": "yes"}, "'binary_data' is 'yes', not true or false"),
    ((*Y, "parameters"), {"classification": 3}, "'classification' is not supported"),
]


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(("path", "value", "message"), REFUSED)
def test_refused(path, value, message):
    predictor = Echo()
    app = densa.serving.asgi(predictor)
    response = call(app, "POST", INFER, json.dumps(changed(path, value)).encode())
    assert response.status == 400
    assert any(part in response.error for part in message.split("|")), response.error
    assert len(response.error) < 300
    assert not predictor.calls


@pytest.mark.parametrize("value", [-129, 128, 10**30, 1.0, True, "1", None])
def test_integers_out_of_range_are_refused(value):
    app = densa.serving.asgi(Echo("int8", (None, 1)))
    entry = {"name": "x", "shape": [2, 1], "datatype": "INT8", "data": [1, value]}
    assert call(app, "POST", INFER, json.dumps({"inputs": [entry]}).encode()).status == 400


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"x",
        b"{",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b"\x00",
        '{"inputs":[]}'.encode("utf-16"),
        b"[" * 100_000,
        b'{"a":' * 5000 + b"NaN",
        b"[NaN]",
        b"1" * 5000,
        b'"inputs"',
        b"null",
        b"[]",
        b"{} {}",
    ],
)
def test_not_a_request(text):
    response = call(densa.serving.asgi(Echo()), "POST", INFER, text)
    assert response.status == 400
    assert "The request is" in response.error


@pytest.mark.usefixtures("library")
def test_half_a_surrogate_pair_is_no_id():
    body = (
        b'{"id":"\\ud800","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[NaN,1]}]}'
    )
    response = call(densa.serving.asgi(Echo()), "POST", INFER, body)
    assert response.status == 400
    assert "id is not text" in response.error


@pytest.mark.usefixtures("library")
def test_text_of_any_script_is_echoed():
    id = 'Zürich "東京" 🎉 \\ \u0000 null'
    x = np.ones((1, 2), "float32")
    answer = call(densa.serving.asgi(Echo()), "POST", INFER, json_request({"x": x}, id=id)).json
    assert answer["id"] == id


def binary(size=16, tail=16, length=0, **more):
    """A binary request that says `size`, has `tail` bytes and a wrong header by `length`."""
    entry = {"name": "x", "shape": [2, 2], "datatype": "FP32"}
    entry = {**entry, "parameters": {"binary_data_size": size}, **more}
    head = json.dumps({"inputs": [entry]}).encode()
    return head + bytes(tail), [("Inference-Header-Content-Length", len(head) + length)]


@pytest.mark.parametrize(
    ("request_of", "message"),
    [
        (lambda: binary(size=15), "binary_data_size is 15, but FP32 of shape [2, 2] has 16 bytes"),
        (lambda: binary(size=-1), "binary_data_size is -1"),
        (lambda: binary(size="16"), "binary_data_size is '16', not a whole number"),
        (lambda: binary(size=True), "binary_data_size is True, not a whole number"),
        (lambda: binary(size=[16]), "binary_data_size is a list, not a whole number"),
        (lambda: binary(size=None), "neither data nor"),
        (lambda: binary(tail=15), "has 16 bytes, but only 15 follow"),
        (lambda: binary(tail=0), "has 16 bytes, but only 0 follow"),
        (lambda: binary(tail=17), "1 bytes follow that belong to no input"),
        (lambda: binary(length=16), "The request is not JSON"),
        (lambda: binary(length=-1), "The request is not JSON"),
        (lambda: binary(length=17), "but the body has"),
        (lambda: binary(data=[1, 2, 3, 4]), "has data and binary_data_size"),
        (lambda: (binary()[0], [("inference-header-content-length", "0")]), "not JSON"),
        (lambda: (binary()[0], [("inference-header-content-length", "-1")]), "not a number"),
        (lambda: (binary()[0], [("inference-header-content-length", "")]), "not a number"),
        (lambda: (binary()[0], [("inference-header-content-length", "1e2")]), "not a number"),
        (lambda: (binary()[0], [("inference-header-content-length", "9" * 99)]), "not a number"),
        (lambda: (binary()[0], binary()[1] * 2), "is there twice"),
    ],
)
def test_broken_binary_requests(request_of, message):
    predictor = Echo()
    body, headers = request_of()
    response = call(densa.serving.asgi(predictor), "POST", INFER, body, headers)
    assert response.status == 400
    assert message in response.error
    assert not predictor.calls


def test_the_right_binary_request():
    """The one that the broken ones differ from."""
    assert call(densa.serving.asgi(Echo()), "POST", INFER, *binary()).status == 200


def test_bytes_that_are_no_truth_values():
    x = np.array([[1, 0]], "bool")
    body, headers = binary_request({"x": x})
    app = densa.serving.asgi(Echo("bool"))
    assert call(app, "POST", INFER, body, headers).status == 200
    response = call(app, "POST", INFER, body[:-1] + b"\x02", headers)
    assert "neither 0 nor 1" in response.error


def test_inputs_of_unequal_rows():
    response = call(
        densa.serving.asgi(Sums()), "POST", INFER, json_request({**SUMS, "n": np.array([[1]])})
    )
    assert response.status == 400
    assert "1 rows, the inputs before it 2" in response.error


@pytest.mark.usefixtures("library")
def test_extents_that_no_array_has():
    """Beside an extent of zero the number of bytes says nothing."""
    app = densa.serving.asgi(Echo("float32", (None, None)))
    for shape in ([0, 2**62], [0, 2**63], [0, 2**64], [0, 10**30]):
        entry = {"name": "x", "shape": shape, "datatype": "FP32", "data": []}
        response = call(app, "POST", INFER, json.dumps({"inputs": [entry]}).encode())
        assert response.status == 400 or shape == [0, 2**62]
        body, headers = binary(size=0, tail=0, shape=shape)
        response = call(app, "POST", INFER, body, headers)
        assert response.status == 400 or shape == [0, 2**62]


def test_ids_out_of_range_are_the_client_s_error():
    layers = densa.layers
    model = densa.Sequential(
        [densa.Input((2,), dtype="int32", name="ids"), layers.Embedding(5, 3), layers.Flatten()]
    )
    app = densa.serving.asgi(model.freeze())
    for ids, status in (([[0, 4]], 200), ([[0, 5]], 400), ([[-1, 0]], 400)):
        response = call(app, "POST", INFER, json_request({"ids": np.array(ids, "int32")}))
        assert response.status == status, response.body
        assert status == 200 or "0 to 4" in response.error or "range" in response.error


def test_values_a_predictor_refuses_are_the_client_s_error():
    x = np.full((1, 2), -7, "float32")
    response = call(densa.serving.asgi(Echo()), "POST", INFER, json_request({"x": x}))
    assert (response.status, response.error) == (400, "-7 is not a value this predictor takes")


def test_no_digit_limit_in_messages():
    """Numbers of thousands of digits, where Python refuses to print them."""
    entry = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
    limit = sys.get_int_max_str_digits() if hasattr(sys, "get_int_max_str_digits") else 4300
    text = json.dumps({"inputs": [{**entry, "shape": "SHAPE"}]})
    for digits in (limit - 1, limit, limit + 1):
        body = text.replace('"SHAPE"', f"[{'9' * digits}, 2]").encode()
        assert call(densa.serving.asgi(Echo()), "POST", INFER, body).status == 400
