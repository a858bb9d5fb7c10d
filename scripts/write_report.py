"""Writes a page about a run (curves, what evaluations found, config, data, samples, timings) or a cleaned dataset, in
one file that needs no network.

    python scripts/write_report.py --workdir=runs/a
    python scripts/write_report.py --dataset=data/mails

The page is runs/a/report/index.html; pictures of the same lie beside it as PNGs. A run that goes on may be reported
on at any time. Of a dataset that scripts/clean_data.py made it is the data card, data/mails/report/index.html.
"""

import sys
from collections.abc import Sequence

from absl import flags


def define() -> flags.FlagValues:
    values = flags.FlagValues()
    flags.DEFINE_string("workdir", None, "the run's folder", flag_values=values)
    flags.DEFINE_string("dataset", None, "a cleaned dataset's folder", flag_values=values)
    return values


def main(argv: Sequence[str]) -> int:
    """Exit codes: 0 done, 2 a mistake of the user's."""
    from train.reports import card, page, pictures

    values = define()
    try:
        rest = values(["write_report", *argv])[1:]
        if rest or (values.workdir is None) == (values.dataset is None):
            raise ValueError(f"expected --workdir=runs/a or --dataset=DIR, got {' '.join(argv) or 'neither'!r}")
        if values.dataset is not None:
            print(card.write(values.dataset))
            return 0
        print(page.write(values.workdir))
        pictures.draw(values.workdir)
    except (ValueError, flags.Error) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
