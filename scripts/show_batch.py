"""Draws what a model will see of a training step: after every transform, and after what mixes rows.

    python scripts/show_batch.py --config=configs/cnn_fashion.py --out=batch.png --step=0 --config.data.transforms=...

Images, spectrograms and sound stand with their labels, a table is a heat map, and rows of text show their tokens on the
colours of their segments. The batch is the one that training takes after --step finished steps.
"""

import pathlib
import sys
from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Exit codes: 0 done, 2 a mistake of the user's."""
    from input_pipeline.progress import quiet
    from train import command_line, feeds, preview, spec
    from train.findings import drawing

    try:
        command = command_line.command(argv, out="batch.png", step="0")
        step, out = command.flags["step"], pathlib.Path(command.flags["out"])
        if not step.isdecimal():
            raise ValueError(f"--step: expected a number of finished steps, got {step!r}; write --step=0 for the first")
        if not out.parent.is_dir():
            raise ValueError(f"--out: expected a file in a folder that is there, got {str(out)!r}")
        feed = feeds.prepare(spec.read(command.config), progress=quiet)
        out.write_bytes(drawing.png(preview.draw(feed, preview.batch(feed, int(step)))))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
