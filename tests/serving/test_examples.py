"""The examples of a service, each run as its README says, where its package is installed."""

import http.client
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import densa
from serving.client import Response, binary_request, json_request
from serving.server import free_port

pytestmark = pytest.mark.cpu_only("the servers' processes compute on the CPU")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "service"
X = np.random.default_rng(0).uniform(0, 16, (3, 64)).astype("float32")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A saved predictor, and its answers to X."""
    layers = densa.layers
    model = densa.Sequential(
        [
            densa.Input((64,), name="x"),
            layers.Rescaling(1 / 16),
            layers.Dense(10, "softmax", name="y"),
        ]
    )
    path = tmp_path_factory.mktemp("example") / "digits.densa"
    predictor = model.freeze()
    predictor.save(path)
    return path, predictor.run([X])[0]


@pytest.fixture
def serve(model):
    """Starts an example's command; gives the port."""
    running = []

    def start(module, *command, ready="/v2/models/digits/ready"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
        port = free_port()
        command = [part.replace("PORT", str(port)) for part in command]
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=EXAMPLES,
            env={**os.environ, "DENSA_PREDICTOR": str(model[0]), "BENTOML_DO_NOT_TRACK": "True"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append(process)
        end = time.monotonic() + 60
        while True:
            try:
                if ask(port, "GET", ready).status == 200:
                    return port
            except OSError:
                pass
            if process.poll() is not None or time.monotonic() > end:
                process.kill()
                pytest.fail(f"{module} did not start:\n{process.communicate()[0]}")
            time.sleep(0.1)

    yield start
    for process in running:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def ask(port, method, path, body=None, headers=()):
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, body, {k: str(v) for k, v in headers})
    answer = connection.getresponse()
    headers = {k.lower(): v for k, v in answer.getheaders()}
    response = Response(answer.status, headers, answer.read())
    connection.close()
    return response


def infers(port, y):
    """JSON and binary requests get the model's answers, wrong ones an error."""
    path = "/v2/models/digits/infer"
    body, headers = binary_request({"x": X}, parameters={"binary_data_output": True})
    for response in (
        ask(port, "POST", path, json_request({"x": X}), [("Content-Type", "application/json")]),
        ask(port, "POST", path, body, [*headers, ("Content-Type", "application/octet-stream")]),
    ):
        assert response.status == 200, response.body
        np.testing.assert_allclose(response.outputs()["y"], y, rtol=1e-6)
    for wrong in ({"x": X[:, :4]}, {"x": X.astype("int64")}, {"z": X}, {"x": X, "z": X}):
        response = ask(port, "POST", path, json_request(wrong), [])
        assert response.status == 400, response.body
        assert "error" in json.loads(response.body)


def test_app(serve, model):
    infers(serve("uvicorn", "-m", "uvicorn", "app:app", "--port", "PORT"), model[1])


def test_kserve_adapter(serve, model):
    port = serve("kserve", "kserve_adapter.py", "--http_port", "PORT", "--enable_grpc", "false")
    about = json.loads(ask(port, "GET", "/v2/models/digits").body)
    assert about["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 64]}]
    assert about["outputs"] == [{"name": "y", "datatype": "FP32", "shape": [-1, 10]}]
    infers(port, model[1])


def test_bentoml_service(serve, model):
    command = ["-m", "bentoml", "serve", "bentoml_service:Digits", "--port", "PORT"]
    port = serve("bentoml", *command)
    infers(port, model[1])
    body = json.dumps({"images": X.tolist()}).encode()
    response = ask(port, "POST", "/classify", body, [("Content-Type", "application/json")])
    assert json.loads(response.body) == model[1].argmax(1).tolist()


def test_the_readme_s_commands_are_these():
    text = (EXAMPLES / "README.md").read_text("utf-8")
    for command in (
        "uvicorn app:app",
        "python kserve_adapter.py",
        "bentoml serve bentoml_service:Digits",
    ):
        assert command in text
    for name in re.findall(r"`(\w+\.py)`", text):
        assert (EXAMPLES / name).exists()
