"""Compiles a config's real training step for a TPU slice that is not there, and prints what it needs.

python scripts/plan_tpu.py --config=configs/lm_tiny.py --topology=v5e:4x4
"""

import os
import sys
import time
from collections.abc import Sequence

os.environ["JAX_PLATFORMS"] = "cpu"  # libtpu compiles here; it must not look for chips


def main(argv: Sequence[str]) -> int:
    """Exit codes: 0 it compiles, 2 a mistake of the user's, 4 it does not fit the chips' memory."""
    import jax

    from train import command_line, plan, spec
    from train.parallel import topology

    try:
        command = command_line.command(argv, topology="v5e:4x4")
        flags, run = command.flags, spec.read(command.config)
        for line in [*command.notes, *plan.assumptions(run)]:
            print(line)
        devices = topology.devices(flags["topology"])
        start_s = time.perf_counter()
        compiled = plan.compile_step(run, devices)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        print(f"does not fit {flags['topology']}: {str(error).splitlines()[0]}", file=sys.stderr)
        return 4
    needs = plan.needs(compiled)
    seconds = time.perf_counter() - start_s
    print(f"on {flags['topology']} ({len(devices)} devices): compiled in {seconds:.1f} s")
    print(f"a device needs {needs.peak_bytes / 2**20:,.1f} MiB at the peak: ", end="")
    print(f"{needs.argument_bytes / 2**20:,.1f} of arguments, {needs.temp_bytes / 2**20:,.1f} of temporaries")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
