"""Tokens a second of generation, by how many are decoded in one dispatch; 1 is the plain loop, as most are written.

    python scripts/bench_generate.py [--config=configs/lm_tiny.py] [--rounds=7] [--num_tokens=64] [--batches=1,8]

The model of a config with fresh parameters: what it writes has no bearing on how fast. Every way runs in each round, in
turn, and is compared within its round.
"""

import statistics
import sys
import time
from collections.abc import Sequence

from absl import flags

PORTIONS = (1, 4, 8, 16, 32)  # tokens of a row in one dispatch
PROMPT_LENGTHS = (5, 60, 17, 33, 9, 48, 26, 12)


def open_rows(model, num_rows: int, num_ids: int):
    """Rows with prompts of unequal length, drawn from the likeliest tokens."""
    import jax

    from models import generate
    from models.sampling import Sampling

    prompts = [[1] * PROMPT_LENGTHS[row % len(PROMPT_LENGTHS)] for row in range(num_rows)]
    keys_B = jax.random.split(jax.random.key(0), num_rows)
    sampling = Sampling(temperature=0.8, top_k=50, top_p=0.95)
    return generate.Rows(model, prompts, keys_B=keys_B, sampling=sampling, num_ids=num_ids)


def tokens_per_s(model, *, num_rows: int, num_ids: int, num_tokens: int, portion: int) -> float:
    """Of all rows together, once the prompts are read and everything is compiled."""
    rows = open_rows(model, num_rows, num_ids)
    rows.advance(1)
    start_s = time.perf_counter()
    for _ in range(num_tokens // portion):
        rows.advance(portion)
    return num_rows * (num_tokens // portion) * portion / (time.perf_counter() - start_s)


def spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main(argv: Sequence[str]) -> int:
    import jax

    from train import allocator, config_flags, experiment, hosts, inference, spec
    from train.parallel.mesh import MeshShape

    values = flags.FlagValues()
    flags.DEFINE_string("config", "configs/lm_tiny.py", "whose model", flag_values=values)
    flags.DEFINE_integer("rounds", 7, "interleaved rounds", lower_bound=3, flag_values=values)
    flags.DEFINE_integer("num_tokens", 64, "of each row in a round", lower_bound=32, flag_values=values)
    flags.DEFINE_list("batches", ["1", "8"], "numbers of rows", flag_values=values)
    values(["bench_generate", *argv])
    hosts.join()
    allocator.keep_freed_pages()
    config = config_flags.override(spec.complete(config_flags.load(values.config)), [])
    run = spec.read(config | {"mesh": {"data": 1}})
    assert run.mesh == MeshShape(data=1)
    engine = experiment.engine(run, jax.devices()[:1])
    with jax.set_mesh(engine.mesh):
        params = engine.fresh_state()["params"]
    model = inference.on_one_device(engine.definition, params)
    print("rows  tokens a dispatch    tokens/s    times the plain loop (median, least, greatest)")
    for num_rows in map(int, values.batches):
        measure = lambda portion: tokens_per_s(
            model,
            num_rows=num_rows,  # noqa: B023
            num_ids=run.model.vocab_size,
            num_tokens=values.num_tokens,
            portion=portion,
        )
        for portion in PORTIONS:
            measure(portion)  # compiles
        rounds = [{portion: measure(portion) for portion in PORTIONS} for _ in range(values.rounds)]
        for portion in PORTIONS:
            rate = statistics.median(rates[portion] for rates in rounds)
            ratios = [rates[portion] / rates[1] for rates in rounds]
            print(f"{num_rows:>4}  {portion:>17}    {rate:>8,.0f}    {spread(ratios)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
