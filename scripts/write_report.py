"""Writes a page about a run: curves, what evaluations found, config, data, samples, timings, in one file that
needs no network.

    python scripts/write_report.py --workdir=runs/a

The page is runs/a/report/index.html; pictures of the same lie beside it as PNGs. A run that goes on may be reported
on at any time.
"""

import sys
from collections.abc import Sequence

from absl import flags


def define() -> flags.FlagValues:
    values = flags.FlagValues()
    flags.DEFINE_string("workdir", None, "the run's folder", flag_values=values)
    return values


def main(argv: Sequence[str]) -> int:
    """Exit codes: 0 done, 2 a mistake of the user's."""
    from train.reports import page, pictures

    values = define()
    try:
        rest = values(["write_report", *argv])[1:]
        if rest or values.workdir is None:
            raise ValueError(f"expected --workdir=runs/a, got {rest[0] if rest else 'no --workdir'!r}")
        print(page.write(values.workdir))
        pictures.draw(values.workdir)
    except (ValueError, flags.Error) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
