"""Rows of ids: each as if it were alone, past a full cache too, in few programs."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from models import generate
from models.generate import Rows
from models.sampling import Sampling
from models.transformer import Transformer, TransformerConfig

CONFIG = TransformerConfig(
    num_layers=2,
    model_size=32,
    num_heads=4,
    num_kv_heads=2,
    mlp_size=64,
    init_std=0.2,  # logits far enough apart that rounding decides nothing
    positions="learned",
    vocab_size=48,
    max_length=40,
)
NUM_IDS, END = 45, 7
LENGTHS = (1, 5, 17, 39, 40, 41, 3, 60)
SAMPLINGS = {
    "greedy": Sampling(temperature=0.0),
    "drawn": Sampling(),
    "cut": Sampling(temperature=1.5, top_k=20, top_p=0.9),
}


@pytest.fixture(scope="module")
def model():
    return Transformer(CONFIG, rngs=nnx.Rngs(0))


def prompts_of(lengths, seed: int = 0) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(END + 1, NUM_IDS, length).tolist() for length in lengths]


def open_rows(model, prompts, *, first: int = 0, sampling=SAMPLINGS["drawn"], end_id: int = END) -> Rows:
    """Rows whose keys are those of the rows numbered from `first`."""
    keys_B = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(jax.random.key(3), first + np.arange(len(prompts)))
    return Rows(model, prompts, keys_B=keys_B, sampling=sampling, num_ids=NUM_IDS, end_id=end_id)


@pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS)
def test_a_row_in_a_batch_is_the_row_alone(model, sampling):
    """Of lengths from one token to more than fit, through full caches and ends of documents."""
    prompts = prompts_of(LENGTHS)
    together = open_rows(model, prompts, sampling=sampling).advance(90)
    for number, prompt in enumerate(prompts):
        assert open_rows(model, [prompt], first=number, sampling=sampling).advance(90) == [together[number]]
    lengths = {len(ids) for ids in together}
    assert max(lengths) > CONFIG.max_length, "no row was written past its full cache"
    assert sampling == SAMPLINGS["greedy"] or len(lengths) > 3, "no rows ended early"
    assert all(END not in ids and max(ids, default=0) < NUM_IDS for ids in together)


def test_rows_of_one_prompt_differ_by_their_keys(model):
    [prompt] = prompts_of([5])
    rows = open_rows(model, [prompt] * 4, end_id=-1).advance(20)
    assert len({tuple(ids) for ids in rows}) == 4
    assert [open_rows(model, [prompt], first=2, end_id=-1).advance(20)[0]] == rows[2:3]


def test_portions_change_nothing(model):
    prompts = prompts_of((2, 30))
    whole = open_rows(model, prompts).advance(75)
    rows = open_rows(model, prompts)
    portions = [rows.advance(size) for size in (1, 2, 40, 0, 32)]
    assert [[*itertools.chain(*ids)] for ids in zip(*portions, strict=True)] == whole


def test_a_full_cache_keeps_the_newer_half(model):
    """Beside a loop without a cache, which runs the whole window through the model for each token."""
    full = jax.jit(
        lambda tokens_BL: model(tokens_BL, positions_BL=jnp.arange(40)[None], segments_BL=jnp.ones((1, 40), int))
    )
    for prompt in prompts_of((37, 50)):
        window, expected = prompt[-40:], []
        for _ in range(60):
            if len(window) > 40:
                window = window[-20:]
            padded = np.zeros((1, 40), np.int32)
            padded[0, : len(window)] = window
            expected.append(int(np.argmax(full(padded)[0, len(window) - 1, :NUM_IDS])))
            window.append(expected[-1])
        assert open_rows(model, [prompt], sampling=SAMPLINGS["greedy"], end_id=-1).advance(60) == [expected]


def test_a_closed_row_gets_no_more_and_the_others_theirs(model):
    prompts = prompts_of((3, 20, 9))
    undisturbed = open_rows(model, prompts, end_id=-1).advance(60)
    rows = open_rows(model, prompts, end_id=-1)
    begun = rows.advance(25)
    rows.close(1)
    rest = rows.advance(35)
    assert rest[1] == []
    assert [begun[row] + rest[row] for row in (0, 2)] == [undisturbed[0], undisturbed[2]]
    assert rows.is_open_B.tolist() == [True, False, True]


def test_the_loop_ends_with_the_last_row(model, monkeypatch):
    """A portion that is far longer than every row costs no more dispatches than they do."""
    calls = []
    decode = generate._decode
    monkeypatch.setattr(generate, "_decode", lambda *args, **named: calls.append(1) or decode(*args, **named))
    rows = open_rows(model, prompts_of((3, 20)))
    written = rows.advance(100_000)
    assert not rows.is_open_B.any()
    assert len(calls) <= sum(len(ids) // 20 + 1 for ids in written) + len(written)
    assert rows.advance(10) == [[], []]


def test_other_lengths_seeds_and_settings_compile_nothing(model):
    """Prompts from 1 to 40 tokens are read by three programs, and one program writes."""
    generate._read.clear_cache()
    generate._decode.clear_cache()
    for length in range(1, 41, 3):
        sampling = Sampling(temperature=length / 10, top_k=length % 4, top_p=1 - length / 100)
        open_rows(model, prompts_of([length], seed=length), first=length, sampling=sampling).advance(1 + length)
    assert generate._read._cache_size() == 3  # 16, 32 and 40 positions
    assert generate._decode._cache_size() == 1


@pytest.mark.fast
@pytest.mark.parametrize("prompt", [[], [3, NUM_IDS], [-1]])
def test_ids_outside_the_vocabulary_are_refused(model, prompt):
    with pytest.raises(ValueError, match=f"prompt: expected token ids from 0 to {NUM_IDS - 1}, at least one, got"):
        open_rows(model, [[1], prompt])
