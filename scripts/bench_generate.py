"""Tokens a second of generation, by how many are decoded in one dispatch; 1 is the plain loop, as most are written.

    python scripts/bench_generate.py [--config=configs/lm_tiny.py] [--rounds=7] [--num_tokens=64] [--batches=1,8]

The model of a config with fresh parameters: what it writes has no bearing on how fast. Every way runs in each round, in
turn, and is compared within its round. Processor time is shown too: it says the same on a busy machine.
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


def measure(model, *, num_rows: int, num_ids: int, num_tokens: int, portion: int) -> tuple[float, float]:
    """-> (tokens a second of all rows together, processor seconds a token of each row), after prompts and compiling."""
    rows = open_rows(model, num_rows, num_ids)
    rows.advance(1)
    num_steps = num_tokens // portion * portion
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    for _ in range(num_tokens // portion):
        rows.advance(portion)
    elapsed_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
    return num_rows * num_steps / elapsed_s, cpu_s / num_steps


def spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main(argv: Sequence[str]) -> int:
    import jax

    from train import allocator, config_flags, experiment, hosts, inference, spec

    values = flags.FlagValues()
    flags.DEFINE_string("config", "configs/lm_tiny.py", "whose model", flag_values=values)
    flags.DEFINE_integer("rounds", 7, "interleaved rounds", lower_bound=3, flag_values=values)
    flags.DEFINE_integer("num_tokens", 64, "of each row in a round", lower_bound=32, flag_values=values)
    flags.DEFINE_list("batches", ["1", "8"], "numbers of rows", flag_values=values)
    values(["bench_generate", *argv])
    hosts.join()
    allocator.keep_freed_pages()
    run = spec.read(spec.complete(config_flags.load(values.config)) | {"mesh": {"data": 1}})
    engine = experiment.engine(run, jax.devices()[:1])
    with jax.set_mesh(engine.mesh):
        params = engine.fresh_state()["params"]
    model = inference.on_one_device(engine.definition, params)
    print("rows  tokens a dispatch    tokens/s    CPU ms a step    times the plain loop (median, least, greatest)")
    for num_rows in map(int, values.batches):
        run_once = lambda portion: measure(
            model,
            num_rows=num_rows,  # noqa: B023
            num_ids=run.model.vocab_size,
            num_tokens=values.num_tokens,
            portion=portion,
        )
        for portion in PORTIONS:
            run_once(portion)  # compiles
        rounds = [{portion: run_once(portion) for portion in PORTIONS} for _ in range(values.rounds)]
        for portion in PORTIONS:
            rate = statistics.median(costs[portion][0] for costs in rounds)
            cpu_ms = statistics.median(costs[portion][1] for costs in rounds) * 1e3
            ratios = [costs[portion][0] / costs[1][0] for costs in rounds]
            print(f"{num_rows:>4}  {portion:>17}    {rate:>8,.0f}    {cpu_ms:>13.2f}    {spread(ratios)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
