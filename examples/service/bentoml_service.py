"""A predictor in BentoML: `bentoml serve bentoml_service:Digits`.

The protocol's paths stand beside BentoML's own API.
"""

from __future__ import annotations

import os

import bentoml
import numpy as np

import densa

predictor = densa.Predictor.load(os.environ.get("DENSA_PREDICTOR", "digits.densa"))


@bentoml.service(name="digits")
@bentoml.asgi_app(densa.serving.asgi({"digits": predictor}), path="/")
class Digits:
    """Reads handwritten digits."""

    @bentoml.api
    def classify(self, images: np.ndarray) -> np.ndarray:
        """The digit that each image shows most likely."""
        (scores,) = predictor.run([np.asarray(images, "float32")])
        return scores.argmax(1)
