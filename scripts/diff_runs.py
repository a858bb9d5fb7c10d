"""Prints how two runs differ in config, data, code, result and speed, from their files alone.

python scripts/diff_runs.py runs/a runs/b
"""

import sys
from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Exit codes: 0 compared, whether they differ or not; 2 a mistake of the user's."""
    from train.reports import differences, workdir

    try:
        if len(argv) != 2 or any(argument.startswith("-") for argument in argv):
            raise ValueError(f"expected two folders of runs, got {' '.join(argv) or 'none'!r}; write runs/a runs/b")
        one, other = map(workdir.read, argv)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    found = differences.between(one, other)
    print(differences.text(found) if any(found.values()) else "no difference")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
