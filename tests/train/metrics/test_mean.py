"""Metrics merge exactly."""

import math

import numpy as np
import pytest
from clu import metrics as clu_metrics

from train.metrics import Bits, Mean, Perplexity


@pytest.mark.parametrize("kind", [Mean, Perplexity, Bits])
def test_merging_uneven_parts_equals_the_whole(kind):
    rng = np.random.default_rng(0)
    nll, weights = rng.normal(3, 1, 100), rng.integers(0, 2, 100)
    whole = kind.of((nll * weights).sum(), weights.sum())
    merged = kind.empty()
    for low, high in ((0, 3), (3, 4), (4, 77), (77, 100)):
        merged = merged.merge(kind.of((nll * weights)[low:high].sum(), weights[low:high].sum()))
    assert isinstance(merged, clu_metrics.Metric)
    assert merged.compute() == pytest.approx(whole.compute(), rel=1e-12)


def test_their_units():
    assert Mean.of(6, 4).compute() == 1.5
    assert Perplexity.of(math.log(8) * 5, 5).compute() == pytest.approx(8)
    assert Bits.of(math.log(2) * 12, 4).compute() == pytest.approx(3)
    assert math.isnan(Mean.empty().compute())


def test_a_million_parts_lose_nothing():
    merged = Mean.of(0, 0)
    for _ in range(20_000):
        merged = merged.merge(Mean.of(np.float32(0.1), 1))
    assert merged.compute() == pytest.approx(float(np.float32(0.1)), rel=1e-12)
