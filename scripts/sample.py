"""Prints text from a trained model.

    python scripts/sample.py --workdir=runs/lm_tiny --prompt="def " --temperature=0.8 --top_p=0.95 --num_tokens=200

One prompt is printed as it is written. Several (--prompt again and again, --prompts_file, --num_samples) are written
--batch_size rows at a time, whose texts do not depend on one another. --format=jsonl prints an object a line, as
samples.jsonl in a workdir holds them. Temperature 0 is greedy. --step chooses a checkpoint; without it the newest good
one is used, and --params=ema takes the average of its parameters, where the run kept one. A text ends before a --stop
string, which is not printed, or at the end of a document.
"""

import json
import pathlib
import sys
from collections.abc import Iterator, Sequence

from absl import flags


def define() -> flags.FlagValues:
    values = flags.FlagValues()
    flags.DEFINE_string("workdir", None, "the run's folder", flag_values=values)
    flags.DEFINE_multi_string("prompt", [], "a text to go on from; may be repeated", flag_values=values)
    flags.DEFINE_string(
        "prompts_file", None, 'prompts, one a line; in a .jsonl file {"prompt": ...}', flag_values=values
    )
    flags.DEFINE_integer("num_samples", 1, "texts for each prompt", lower_bound=1, flag_values=values)
    flags.DEFINE_integer("batch_size", 16, "rows that are written at once", lower_bound=1, flag_values=values)
    flags.DEFINE_integer("num_tokens", 200, "tokens of each text, at most", flag_values=values)
    flags.DEFINE_float("temperature", 0.8, "0 is greedy", flag_values=values)
    flags.DEFINE_integer("top_k", 0, "draw from the k likeliest tokens; 0: from all", flag_values=values)
    flags.DEFINE_float("top_p", 1.0, "draw from the fewest tokens with this share of the mass", flag_values=values)
    flags.DEFINE_float("min_p", 0.0, "draw from tokens with this share of the likeliest one's mass", flag_values=values)
    flags.DEFINE_multi_string("stop", [], "a string that ends a text; may be repeated", flag_values=values)
    flags.DEFINE_integer("seed", 0, "of the choice of tokens", flag_values=values)
    flags.DEFINE_string("params", "trained", "or ema", flag_values=values)
    flags.DEFINE_integer("step", None, "of the checkpoint", flag_values=values)
    flags.DEFINE_enum("format", "text", ["text", "jsonl"], "of what is printed", flag_values=values)
    return values


def read_prompts(values: flags.FlagValues) -> list[str]:
    """Each prompt as often as it is asked for; a line break where none is given."""
    prompts = list(values.prompt)
    if values.prompts_file is not None:
        prompts += prompts_of(pathlib.Path(values.prompts_file))
    return [prompt for prompt in prompts or ["\n"] for _ in range(values.num_samples)]


def prompts_of(file: pathlib.Path) -> list[str]:
    """Raises a ValueError where the file cannot be read or holds no prompts. Empty lines are none."""
    try:
        lines = [line for line in file.read_text("utf-8").split("\n") if line]
        prompts = [json.loads(line)["prompt"] for line in lines] if file.suffix == ".jsonl" else lines
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"--prompts_file: expected prompts in {str(file)!r}, got {error!r}") from None
    if not prompts or not all(isinstance(prompt, str) for prompt in prompts):
        raise ValueError(f"--prompts_file: expected prompts in {str(file)!r}, got none, or one that is no text")
    return prompts


def pieces(author, prompts: list[str], request, *, batch_size: int, as_json: bool) -> Iterator[str]:
    """What is to be printed, as soon as it is known."""
    if len(prompts) == 1 and not as_json:
        yield prompts[0]
        yield from author.stream(prompts[0], request)
        yield "\n"
        return
    for first in range(0, len(prompts), batch_size):
        texts = author.write(prompts[first : first + batch_size], request, first_row=first)
        for number, written in enumerate(texts, first + 1):
            if as_json:
                yield json.dumps(author.record(written, request)) + "\n"
            else:
                yield f"[{number} of {len(prompts)}, ended by: {written.ended}]\n{written.prompt}{written.text}\n\n"


def main(argv: Sequence[str]) -> int:
    """Exit codes: 0 done, 2 a mistake of the user's."""
    from models.sampling import Sampling
    from train import hosts, inference

    values = define()
    try:
        rest = values(["sample", *argv])[1:]
        if rest or values.workdir is None:
            raise ValueError(f"expected --workdir=runs/a and flags, got {rest[0] if rest else 'no --workdir'!r}")
        prompts = read_prompts(values)
        sampling = Sampling(temperature=values.temperature, top_k=values.top_k, top_p=values.top_p, min_p=values.min_p)
        request = inference.Request(
            num_tokens=values.num_tokens, sampling=sampling, stop=tuple(values.stop), seed=values.seed
        )
        hosts.join()
        hosts.use_compilation_cache()
        author = inference.load(values.workdir, step=values.step, params=values.params)
        as_json = values.format == "jsonl"
        for piece in pieces(author, prompts, request, batch_size=values.batch_size, as_json=as_json):
            print(piece, end="", flush=True)
    except (ValueError, flags.Error) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
