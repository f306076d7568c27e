"""Other people's clients speak to the service, unchanged."""

import asyncio

import numpy as np
import pytest

from serving.predictors import network
from serving.server import Server

pytest.importorskip("uvicorn")

pytestmark = pytest.mark.cpu_only("the servers' processes compute on the CPU")

X = np.random.default_rng(0).standard_normal((5, 64)).astype("float32")
A = np.array([[1, -2, 3], [0, 0, np.nan]], "float32")
N = np.array([[10], [20]])


@pytest.fixture(scope="module")
def server():
    server = Server("uvicorn", "serving.served_app:app")
    server.wait()
    yield server
    server.stop()


@pytest.fixture
def triton():
    return pytest.importorskip("tritonclient.http")


@pytest.fixture
def client(triton, server):
    client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
    yield client
    client.close()


def test_triton_metadata(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("net")
    assert client.is_model_ready("net", "1")
    assert not client.is_model_ready("net", "2")
    assert not client.is_model_ready("other")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    about = client.get_model_metadata("net")
    assert about["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 64]}]
    assert about["outputs"] == [{"name": "y", "datatype": "FP32", "shape": [-1, 10]}]


@pytest.mark.parametrize("answer", ["all", "binary", "json"])
@pytest.mark.parametrize("binary", [True, False])
def test_triton_infer(triton, client, binary, answer):
    x = triton.InferInput("x", X.shape, "FP32")
    x.set_data_from_numpy(X, binary_data=binary)
    asked = [triton.InferRequestedOutput("y", binary_data=answer == "binary")]
    result = client.infer("net", [x], outputs=None if answer == "all" else asked, request_id="r-1")
    np.testing.assert_array_equal(result.as_numpy("y"), network().freeze().run([X])[0])
    assert result.get_response()["id"] == "r-1"
    assert ("data" in result.get_output("y")) == (answer == "json")


@pytest.mark.parametrize("binary", [True, False])
def test_triton_types_and_nan(triton, client, binary):
    a = triton.InferInput("a", A.shape, "FP32").set_data_from_numpy(A, binary_data=binary)
    n = triton.InferInput("n", N.shape, "INT64").set_data_from_numpy(N, binary_data=not binary)
    asked = [
        triton.InferRequestedOutput("any", binary_data=binary),
        triton.InferRequestedOutput("total", binary_data=not binary),
    ]
    result = client.infer("sums", [n, a], outputs=asked)
    np.testing.assert_array_equal(result.as_numpy("total"), [[12], [np.nan]])
    np.testing.assert_array_equal(result.as_numpy("any"), [[1, 0, 1], [0, 0, 0]])


def test_triton_errors(triton, client):
    from tritonclient.utils import InferenceServerException

    x = triton.InferInput("x", [5, 32], "FP32").set_data_from_numpy(X[:, :32].copy())
    with pytest.raises(InferenceServerException, match=r"shape \[5, 32\], not \[any, 64\]"):
        client.infer("net", [x])
    with pytest.raises(InferenceServerException, match="No model has the name 'other'"):
        client.infer("other", [x])
    x = triton.InferInput("x", [5, 64], "FP32").set_data_from_numpy(X)
    with pytest.raises(InferenceServerException, match="Compressed requests"):
        client.infer("net", [x], request_compression_algorithm="gzip")
    # Answers may be compressed where a client asks for it; they never are.
    client.infer("net", [x], response_compression_algorithm="gzip")


def test_kserve_client(server):
    kserve = pytest.importorskip("kserve")
    from kserve.inference_client import InferenceRESTClient, RESTConfig

    async def ask():
        client = InferenceRESTClient(RESTConfig(protocol="v2"))
        url = f"http://127.0.0.1:{server.port}"
        assert await client.is_server_live(url)
        assert await client.is_server_ready(url)
        assert await client.is_model_ready(url, "net")
        found = []
        for binary in (True, False):
            x = kserve.InferInput("x", list(X.shape), "FP32")
            x.set_data_from_numpy(X, binary_data=binary)
            request = kserve.InferRequest("net", [x], request_id="r-1")
            response = await client.infer(url, request, model_name="net")
            assert response.id == "r-1"
            found.append(response.outputs[0].as_numpy())
        await client.close()
        return found

    for y in asyncio.run(ask()):
        np.testing.assert_array_equal(y, network().freeze().run([X])[0])
