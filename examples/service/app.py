"""A service of the Open Inference Protocol v2: `uvicorn app:app`."""

import os

import densa

predictor = densa.Predictor.load(os.environ.get("DENSA_PREDICTOR", "digits.densa"))
app = densa.serving.asgi({"digits": predictor})
