"""Single steps for benchmarks: what `StepRunner.run` returns."""

import numpy as np
import pytest

import densa


@pytest.mark.parametrize("steps", [1, 4, 11])
def test_it_returns_the_mean_loss_of_its_steps(steps):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 5)).astype("f4"), rng.integers(0, 3, 32)

    def compiled():
        densa.utils.set_random_seed(1)
        model = densa.Sequential([densa.Input((5,)), densa.layers.Dense(3)])
        loss = densa.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(densa.optimizers.SGD(0.5), loss)
        return model

    # One batch of all rows: its loss does not depend on their order.
    reference = compiled()
    want = []
    for _ in range(2 * steps):
        reference.reset_metrics()
        want.append(float(reference.train_on_batch(x, y)))
    assert want[-1] < want[0]
    runner = compiled()._train_runner(x, y, batch_size=32)
    for part in (want[:steps], want[steps:]):
        assert runner.run(steps) == pytest.approx(np.mean(part), rel=1e-5)
