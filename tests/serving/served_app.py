"""The app that the tests' servers run."""

import densa
from serving.predictors import Echo, Sums, network

net = network().freeze()
app = densa.serving.asgi(
    {"net": net, "sums": Sums(), "slow": Echo(shape=(None, 64), seconds=0.2)},
    max_body=1 << 20,
    offload_bytes=4096,  # 16 rows of the net
)
batched = densa.serving.asgi({"net": net}, batch_window_us=500, offload_bytes=4096)
