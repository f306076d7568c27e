"""A predictor in KServe's own model server: `python kserve_adapter.py`.

KServe needs no adapter to run a service: any container that serves `app.py` will do. This one is
for those who want what its server has besides, such as gRPC.
"""

from __future__ import annotations

import os

import kserve
from kserve.errors import InvalidInput

import densa


class DensaModel(kserve.Model):
    """A model of KServe's that runs a predictor."""

    def __init__(self, name: str, predictor: densa.Predictor) -> None:
        super().__init__(name)
        self.predictor = predictor
        self.ready = True

    def get_input_types(self) -> list[dict]:
        return [densa.serving.tensor_metadata(spec) for spec in self.predictor.inputs]

    def get_output_types(self) -> list[dict]:
        return [densa.serving.tensor_metadata(spec) for spec in self.predictor.outputs]

    def predict(self, payload, headers=None, response_headers=None) -> kserve.InferResponse:
        try:
            given = {tensor.name: tensor.as_numpy() for tensor in payload.inputs}
            arrays = [given.pop(spec.name) for spec in self.predictor.inputs]
            if given:
                raise ValueError(f"no inputs have the names {list(given)}")
            outputs = self.predictor.run(arrays)
        except KeyError as error:
            raise InvalidInput(f"input {error} is missing") from error
        except (
            AttributeError,
            IndexError,
            TypeError,
            ValueError,
        ) as error:  # a v1 request has no tensors
            raise InvalidInput(str(error)) from error
        return kserve.InferResponse(
            payload.id or "",  # its answers must have one
            self.name,
            [
                kserve.InferOutput(about["name"], list(y.shape), about["datatype"], data=y)
                for about, y in zip(self.get_output_types(), outputs, strict=True)
            ],
            requested_outputs=payload.request_outputs,
            use_binary_outputs=payload.use_binary_outputs,
        )


if __name__ == "__main__":
    predictor = densa.Predictor.load(os.environ.get("DENSA_PREDICTOR", "digits.densa"))
    kserve.ModelServer().start([DensaModel("digits", predictor)])
