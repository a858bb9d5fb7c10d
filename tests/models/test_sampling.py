"""The choice of a token, against the definitions written out slowly in numpy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from models.sampling import Sampling, choose, likeliest

INF = float("inf")
LOGITS = {
    "apart": [0.3, 2.0, -1.0, 1.1, 0.9, -3.0],
    "ties": [1.0, 2.0, 1.0, 1.0, 2.0, 0.0],
    "all equal": [0.0] * 6,
    "impossible tokens": [-INF, 1.0, -INF, 0.5, -INF, 0.0],
    "one possible token": [-INF, -INF, 3.0, -INF, -INF, -INF],
    "one token": [5.0],
    "far apart": [80.0, -80.0, 79.0, 0.0, 1e4, 1e4 - 1],
}
SETTINGS = {
    "all": Sampling(),
    "warm": Sampling(temperature=2.0),
    "k": Sampling(top_k=2),
    "k of one": Sampling(top_k=1),
    "k beyond the vocabulary": Sampling(top_k=100),
    "p": Sampling(top_p=0.6),
    "p tiny": Sampling(top_p=1e-30),
    "p nearly all": Sampling(top_p=0.999),
    "min_p": Sampling(min_p=0.3),
    "everything": Sampling(temperature=0.7, top_k=4, top_p=0.8, min_p=0.2),
}


def reference(logits, sampling: Sampling) -> np.ndarray:
    """Probabilities of the tokens: one token after another, likeliest first, lower ids first among equals."""
    probs = special.softmax(np.asarray(logits, np.float64) / sampling.temperature)
    order = sorted(range(len(probs)), key=lambda token: (-probs[token], token))
    if sampling.top_k:
        order = order[: sampling.top_k]
    whole = sum(probs[token] for token in order)
    nucleus, mass = [], 0.0
    for token in order:
        if sampling.top_p < 1 and mass >= sampling.top_p * whole:
            break
        nucleus.append(token)
        mass += probs[token]
    kept = [token for token in nucleus if probs[token] >= sampling.min_p * probs[order[0]]]
    cut = np.zeros(len(probs))
    cut[kept] = probs[kept]
    return cut / cut.sum()


@jax.jit
def draw(logits_V, keys_B, traced):
    return choose(jnp.broadcast_to(logits_V, (len(keys_B), len(logits_V))), keys_B, traced)


@pytest.mark.parametrize("sampling", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("logits", LOGITS.values(), ids=LOGITS)
def test_draws_follow_the_definition(logits, sampling):
    keys = jax.random.split(jax.random.key(7), 4000)
    counts = np.bincount(draw(jnp.array(logits), keys, sampling.traced()), minlength=len(logits))
    expected = reference(logits, sampling) * len(keys)
    assert not counts[expected == 0].any(), "a token that is cut away was drawn"
    likely = expected > 5  # the usual bound of the chi-square test; 70 tests: one in a thousand is no accident
    if likely.sum() > 1:
        total = counts[likely].sum()
        test = stats.chisquare(counts[likely], expected[likely] * (total / expected[likely].sum()))
        assert test.pvalue > 1e-3
        assert total > 0.99 * len(keys)
    else:
        assert counts[np.argmax(expected)] > 0.99 * len(keys)


@settings(deadline=None, max_examples=200, derandomize=True)
@given(
    logits=st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.25, -2.0, -7.5]), min_size=8, max_size=8),
    top_k=st.integers(0, 9),
    top_p=st.sampled_from([1e-9, 0.2, 0.49, 0.51, 0.83, 0.97, 1.0]),
    min_p=st.sampled_from([0.0, 0.13, 0.58, 0.9]),
)
def test_the_kept_tokens_are_those_of_the_definition(logits, top_k, top_p, min_p):
    sampling = Sampling(top_k=top_k, top_p=top_p, min_p=min_p)
    kept = jax.jit(likeliest)(jnp.array([logits]), sampling.traced())[0]
    np.testing.assert_array_equal(kept, reference(logits, sampling) > 0)


def test_exact_shares_need_no_more_tokens():
    """Two of four equal tokens are half of the mass, not a little less."""
    for p, num_kept in ((0.25, 1), (0.5, 2), (0.75, 3), (1.0, 4)):
        kept = likeliest(jnp.zeros((1, 4)), Sampling(top_p=p).traced())
        np.testing.assert_array_equal(kept[0], np.arange(4) < num_kept)


def test_p_1_keeps_what_rounding_would_cut():
    """The likeliest token's share rounds to 1, and yet it is not all of the mass."""
    assert likeliest(jnp.array([[0.0, 40.0, 0.0]]), Sampling(top_p=1.0, top_k=3).traced()).all()


@pytest.mark.fast
def test_temperature_0_is_greedy_and_nearly_0_too():
    logits, keys = jnp.array([[1.0, 3.0, 3.0, 2.0], [-INF, 0.0, -1.0, 0.0]]), jax.random.split(jax.random.key(0), 2)
    np.testing.assert_array_equal(choose(logits, keys, Sampling(temperature=0.0, top_k=3).traced()), [1, 1])
    apart = jnp.array([[1.0, 3.0, 2.9, 2.0], [-INF, 0.0, -1.0, -0.1]])
    np.testing.assert_array_equal(choose(apart, keys, Sampling(temperature=1e-30).traced()), [1, 1])


def test_a_rows_choice_is_its_own():
    logits, keys = jax.random.normal(jax.random.key(1), (8, 100)), jax.random.split(jax.random.key(2), 8)
    compiled = jax.jit(choose)
    for sampling in (SETTINGS["all"], SETTINGS["everything"]):
        whole = compiled(logits, keys, sampling.traced())
        alone = [compiled(logits[row : row + 1], keys[row : row + 1], sampling.traced())[0] for row in range(8)]
        np.testing.assert_array_equal(whole, alone)


def test_other_settings_compile_nothing():
    compiled = jax.jit(lambda *inputs: choose(*inputs))
    for sampling in SETTINGS.values():
        compiled(jnp.zeros((2, 9)), jax.random.split(jax.random.key(0), 2), sampling.traced())
    assert compiled._cache_size() == 1


@pytest.mark.fast
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (dict(temperature=-0.1), "temperature: expected a number of 0"),
        (dict(temperature=float("nan")), "temperature: expected a number of 0"),
        (dict(top_k=-1), "top_k: expected 0"),
        (dict(top_p=0.0), "top_p: expected a share above 0"),
        (dict(top_p=1.5), "top_p: expected a share above 0"),
        (dict(min_p=2.0), "min_p: expected a share"),
    ],
)
def test_wrong_settings(change, says):
    with pytest.raises(ValueError, match=says):
        dataclasses.replace(Sampling(), **change)
