"""JAX: one jitted step with optax and donated state, batches gathered inside the step."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from networks import NETWORKS, Network
from peers import Job, Prepared, Unavailable

jax: Any = importlib.import_module("jax")
optax: Any = importlib.import_module("optax")
jnp: Any = jax.numpy

ACTIVATIONS: dict[str, Any] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "gelu": lambda z: jax.nn.gelu(z, approximate=False),
    "silu": jax.nn.silu,
}


def version() -> str:
    """JAX's version."""
    return str(jax.__version__)


def prepare(job: Job) -> Prepared:
    """Builds a training job."""
    if job["kind"] != "train":
        raise Unavailable("no such job for this peer")
    return prepare_training(job, NETWORKS[job["net"]])


def initial(net: Network) -> tuple[Any, Any]:
    """He-normal kernels, zero biases, and the moving statistics of batch norm."""
    rng = np.random.default_rng(0)
    layers, moving = [], []
    for i, (fan_in, fan_out) in enumerate(net.kernels()):
        w = rng.standard_normal((fan_in, fan_out)) * (2 / fan_in) ** 0.5
        layer = {"w": jnp.asarray(w, jnp.float32), "b": jnp.zeros(fan_out)}
        if net.batch_norm and i < len(net.sizes) - 2:
            layer |= {"gamma": jnp.ones(fan_out), "beta": jnp.zeros(fan_out)}
            moving.append({"mean": jnp.zeros(fan_out), "var": jnp.ones(fan_out)})
        layers.append(layer)
    return layers, moving


def forward(net: Network, layers: Any, moving: Any, x: Any, key: Any) -> tuple[Any, Any]:
    """Logits of a training batch and the new moving statistics."""
    activation = ACTIVATIONS[net.activation]
    new_moving = []
    for i, layer in enumerate(layers):
        if net.dropout:
            keep = jax.random.bernoulli(jax.random.fold_in(key, i), 1 - net.dropout, x.shape)
            x = jnp.where(keep, x / (1 - net.dropout), 0.0)
        x = x @ layer["w"] + layer["b"]
        if i == len(layers) - 1:
            break
        if net.batch_norm:
            mean, var = jnp.mean(x, 0), jnp.var(x, 0)
            old = moving[i]
            new_moving.append(
                {
                    "mean": 0.99 * old["mean"] + 0.01 * mean,
                    "var": 0.99 * old["var"] + 0.01 * var,
                }
            )
            x = (x - mean) * (jax.lax.rsqrt(var + 1e-3) * layer["gamma"]) + layer["beta"]
        x = activation(x)
    return x, new_moving


def prepare_training(job: Job, net: Network) -> Prepared:
    """The whole state, the step counter included, stays on the device and is donated."""
    x, y = jnp.asarray(np.load(job["x"])), jnp.asarray(np.load(job["y"]))
    optimizer = {
        "sgd": lambda: optax.sgd(net.learning_rate, momentum=0.9),
        "adam": lambda: optax.adam(net.learning_rate, eps=1e-7),
        "adamw": lambda: optax.adamw(net.learning_rate, eps=1e-7, weight_decay=0.004),
    }[net.optimizer]()
    layers, moving = initial(net)
    key = jax.random.key(0)
    steps_per_epoch = net.rows // net.batch
    gather = jax.lax.GatherScatterMode.PROMISE_IN_BOUNDS

    def step(state: Any, x: Any, y: Any, order: Any) -> Any:
        layers, moving, optimizer_state, counter, _ = state
        at = (counter % steps_per_epoch) * net.batch
        rows = jax.lax.dynamic_slice(order, (at,), (net.batch,))
        batch = x.at[rows].get(mode=gather)
        if batch.dtype == jnp.uint8:
            batch = batch.astype(jnp.float32) * (1 / 255)
        labels = y.at[rows].get(mode=gather)
        step_key = jax.random.fold_in(key, counter) if net.dropout else key

        def loss_of(layers: Any) -> Any:
            logits, new_moving = forward(net, layers, moving, batch, step_key)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return jnp.mean(losses), new_moving

        (loss, new_moving), slopes = jax.value_and_grad(loss_of, has_aux=True)(layers)
        updates, optimizer_state = optimizer.update(slopes, optimizer_state, layers)
        layers = optax.apply_updates(layers, updates)
        return layers, new_moving, optimizer_state, counter + 1, loss

    compiled = jax.jit(step, donate_argnums=0)
    rng = np.random.default_rng(1)
    order = jnp.asarray(rng.permutation(net.rows).astype(np.int32))
    state = (layers, moving, optimizer.init(layers), jnp.zeros((), jnp.int32), jnp.zeros(()))
    done = 0

    def run(units: int) -> None:
        nonlocal state, order, done
        for _ in range(units):
            if done == steps_per_epoch:
                order, done = jnp.asarray(rng.permutation(net.rows).astype(np.int32)), 0
            state = compiled(state, x, y, order)
            done += 1
        jax.block_until_ready(state)

    return Prepared(run, lambda: float(state[4]))
