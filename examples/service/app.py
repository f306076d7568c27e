"""A service of the Open Inference Protocol v2: `uvicorn app:app`."""

from predictor import load

import densa

app = densa.serving.asgi({"digits": load()})
