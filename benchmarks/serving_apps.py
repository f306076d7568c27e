"""The apps that `serving.py` measures; a server imports them by name."""

from __future__ import annotations

from typing import Any

import numpy as np

import densa
from densa.serving import protocol
from densa.serving.predictors import served_models

SIZES = (64, 128, 128, 10)


def network() -> Any:
    """The network of `SIZES`, frozen."""
    hidden = [densa.layers.Dense(size, "relu") for size in SIZES[1:-1]]
    x = densa.Input(SIZES[:1], name="x")
    last = densa.layers.Dense(SIZES[-1], "softmax", name="y")
    return densa.Sequential([x, *hidden, last]).freeze()


class Echo:
    """The bare framework: reads a request and answers with as many bytes as the service does."""

    def __init__(self, size: int) -> None:
        self.body = b"x" * size
        self.headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % size)]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI entry."""
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body", False):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


def answer_size(as_binary: bool) -> int:
    """Bytes of the service's answer to one row."""
    model = served_models(network())["model"]["1"]
    outputs = model.run([np.zeros((1, SIZES[0]), "float32")])
    body, _ = protocol.encode(model, protocol.Request(None, [], 1, [(0, as_binary)]), outputs)
    return len(body)


net = densa.serving.asgi(network())
batched = densa.serving.asgi(network(), batch_window_us=200)
echo_json = Echo(answer_size(False))
echo_binary = Echo(answer_size(True))
