"""A predictor in BentoML: `bentoml serve bentoml_service:Digits`.

The protocol's paths stand beside BentoML's own API.
"""

from __future__ import annotations

import bentoml
import numpy as np
from predictor import load

import densa

predictor = load()


@bentoml.service(name="digits")
@bentoml.asgi_app(densa.serving.asgi({"digits": predictor}), path="/")
class Digits:
    """Reads handwritten digits."""

    @bentoml.api
    def classify(self, images: np.ndarray) -> np.ndarray:
        """The digit that each image shows most likely."""
        (scores,) = predictor.run([np.asarray(images, "float32")])
        return scores.argmax(1)
