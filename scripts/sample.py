"""Prints text from a trained model, token by token.

    python scripts/sample.py --workdir=runs/lm_tiny --prompt="def " --temperature=0.8 --num_tokens=200 --seed=1

Temperature 0 is greedy. --step chooses a checkpoint; without it the newest good one is used.
"""

import sys
from collections.abc import Sequence

from absl import flags


def define() -> flags.FlagValues:
    values = flags.FlagValues()
    flags.DEFINE_string("workdir", None, "the run's folder", flag_values=values)
    flags.DEFINE_string("prompt", "\n", "the text to go on from", flag_values=values)
    flags.DEFINE_integer("num_tokens", 200, "tokens to print", lower_bound=1, flag_values=values)
    flags.DEFINE_float("temperature", 0.8, "0 is greedy", lower_bound=0, flag_values=values)
    flags.DEFINE_integer("seed", 0, "of the choice of tokens", flag_values=values)
    flags.DEFINE_integer("step", None, "of the checkpoint", flag_values=values)
    return values


def main(argv: Sequence[str]) -> int:
    """Exit codes: 0 done, 2 a mistake of the user's."""
    from train import hosts, inference

    values = define()
    try:
        rest = values(["sample", *argv])[1:]
        if rest or values.workdir is None:
            raise ValueError(f"expected --workdir=runs/a and flags, got {rest[0] if rest else 'no --workdir'!r}")
        hosts.join()
        model = inference.load(values.workdir, step=values.step)
        print(values.prompt, end="", flush=True)
        for text in model.stream(
            values.prompt, num_tokens=values.num_tokens, temperature=values.temperature, seed=values.seed
        ):
            print(text, end="", flush=True)
    except (ValueError, flags.Error) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
