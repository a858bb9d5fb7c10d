"""What a model will see of a training step, as one picture: `scripts/show_batch.py`."""

import contextlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, Shaped, UInt8

from input_pipeline.batch import Batch
from input_pipeline.tokenizer import Tokenizer
from train import keys, mixing
from train.feeds import Feed
from train.feeds.labelled import LabelledFeed
from train.feeds.text import TextFeed
from train.findings import drawing
from train.parallel import mesh as meshes
from train.parallel.mesh import MeshShape

MAX_EXAMPLES = 32  # of a batch that are drawn
MAX_FEATURES = 64  # of a table
MAX_ROWS = 8  # of text
COLUMNS = 8
LETTERS = 112  # of a line of text
LETTER, LINE, MARGIN = 8, 19, 14  # pixels: a letter's width, a line's height
SEGMENTS = ((207, 227, 245), (253, 226, 205), (207, 236, 222), (246, 222, 236), (250, 236, 196))
PADDING = (240, 240, 240)
MARKS = {"\n": "↵", "\t": "→", "\r": "↤"}


def batch(feed: Feed, step: int) -> Batch:
    """The global batch that is trained on after `step` finished steps: after its transforms, and after what mixes rows
    on the devices.
    """
    run = feed.run
    mesh = meshes.make(jax.devices()[:1], MeshShape(data=1))
    with contextlib.closing(feed.train_batches(mesh, start=step * run.train.batch_size)) as batches:
        rows: Mapping[str, jax.Array] = next(batches)
    with jax.set_mesh(mesh):
        if run.data.mixing:
            key = keys.mixing(run.seed, jnp.int32(step))
            keys_B = jax.vmap(partial(jax.random.fold_in, key))(jnp.arange(run.train.batch_size))
            rows = mixing.apply(run.data.mixing, rows, keys_B, num_classes=run.data.num_classes)
        return {name: np.asarray(jax.device_get(array)) for name, array in rows.items()}


def draw(feed: Feed, rows: Batch) -> UInt8[np.ndarray, "H W 3"]:
    """The rows of a batch: text with its segments, a table as a heat map, anything else example by example."""
    if isinstance(feed, TextFeed):
        return text(rows, feed.tokenizer)
    assert isinstance(feed, LabelledFeed)
    classes = feed.examples.classes
    names = [told(label, classes) for label in rows["labels"][:MAX_EXAMPLES]]
    inputs = rows["inputs"][:MAX_EXAMPLES]
    return table(inputs, names) if inputs.ndim == 2 and feed.run.data.modality == "table" else examples(inputs, names)


def told(label: Any, classes: Sequence[str]) -> str:
    """A label in words: a class, shares of classes ("0.7 Bag + 0.3 Coat"), or numbers."""
    if np.issubdtype(np.asarray(label).dtype, np.integer):
        return classes[label] if classes else str(label)
    if not classes:
        return ", ".join(f"{value:.4g}" for value in np.ravel(label))
    shares = sorted(((share, name) for share, name in zip(label, classes, strict=True) if share > 0), reverse=True)
    return " + ".join(name if share == 1 else f"{share:.2f} {name}" for share, name in shares) or "none"


def examples(inputs: Shaped[np.ndarray, "B ..."], names: Sequence[str]) -> UInt8[np.ndarray, "H W 3"]:
    """Each input with its label."""
    pictures = [drawing.draw(each) for each in inputs]
    columns = min(COLUMNS if inputs.ndim == 4 else COLUMNS // 2, len(pictures))
    num_rows = -(-len(pictures) // columns)
    height, width = pictures[0].shape[:2]
    figure = _figure(2.1 * columns, (2.1 * min(1.5, height / width) + 0.45) * num_rows)
    for axes, picture, name in zip(figure.subplots(num_rows, columns, squeeze=False).flat, pictures, names):  # noqa: B905
        axes.imshow(picture, interpolation="nearest")
        axes.set_title("\n+ ".join(name.split(" + ")), fontsize=8, loc="left", color="#333333")
    for axes in figure.axes:
        axes.set_axis_off()
    return _pixels(figure)


def table(inputs_BF: Shaped[np.ndarray, "B F"], names: Sequence[str]) -> UInt8[np.ndarray, "H W 3"]:
    """Rows down, features across, white at 0."""
    shown_BF = inputs_BF[:, :MAX_FEATURES]
    num_rows, num_features = shown_BF.shape
    greatest = float(np.nanmax(np.abs(shown_BF), initial=0.0)) or 1.0
    figure = _figure(max(5.0, 0.24 * num_features + 2.5), 0.24 * num_rows + 1.2)
    axes = figure.add_subplot()
    drawn = axes.imshow(
        shown_BF, cmap=drawing.TWO_SIDED, vmin=-greatest, vmax=greatest, aspect="auto", interpolation="nearest"
    )
    axes.set_yticks(range(num_rows), names, fontsize=8)
    axes.set_xlabel("feature" if num_features == inputs_BF.shape[1] else f"the first {num_features} features")
    figure.colorbar(drawn, ax=axes, pad=0.02)
    return _pixels(figure)


def text(rows: Batch, tokenizer: Tokenizer) -> UInt8[np.ndarray, "H W 3"]:
    """What the model reads, token by token, on the colour of its segment; neighbours in two shades. Padding is grey,
    the separator a square, and a token whose target counts nothing is underlined.
    """
    from PIL import Image, ImageDraw

    lines = [line for row in range(min(MAX_ROWS, len(rows["tokens"]))) for line in _lines(rows, row, tokenizer)]
    sheet = Image.new("RGB", (2 * MARGIN + LETTERS * LETTER, 2 * MARGIN + LINE * len(lines)), (255, 255, 255))
    pen = ImageDraw.Draw(sheet)
    font = _font()
    for number, line in enumerate(lines):
        top, column = MARGIN + LINE * number, 0
        for letters, colour, is_counted in line:
            left = MARGIN + column * LETTER
            right = left + LETTER * len(letters)
            pen.rectangle((left, top, right - 1, top + LINE - 3), fill=colour)
            if not is_counted:
                pen.line((left, top + LINE - 3, right - 1, top + LINE - 3), fill=(120, 120, 120))
            for place, letter in enumerate(letters):
                pen.text((left + LETTER * place, top), letter, font=font, fill=(28, 33, 39))
            column += len(letters)
    return np.asarray(sheet)


Piece = tuple[str, tuple[int, int, int], bool]  # letters, the colour behind them, whether the target counts


def _lines(rows: Batch, row: int, tokenizer: Tokenizer) -> list[list[Piece]]:
    """A row of tokens in lines of LETTERS, after a line that names it and before an empty one."""
    tokens_L, segments_L, weights_L = (rows[name][row] for name in ("tokens", "segment_ids", "weights"))
    num_segments, num_padded = int(segments_L.max()), int((segments_L == 0).sum())
    title = f"row {row}: {num_segments} segment{'s' * (num_segments != 1)}, {num_padded} padded"
    lines: list[list[Piece]] = [[(title, (255, 255, 255), True)], []]
    for place, letters in enumerate(_letters(tokens_L, tokenizer)):
        segment = int(segments_L[place])
        colour = SEGMENTS[(segment - 1) % len(SEGMENTS)] if segment else PADDING
        red, green, blue = (channel if place % 2 else round(0.94 * channel) for channel in colour)
        while letters:
            room = LETTERS - sum(len(piece) for piece, _, _ in lines[-1])
            if not room:
                lines.append([])
                continue
            lines[-1].append((letters[:room], (red, green, blue), bool(weights_L[place])))
            letters = letters[room:]
    return [*lines, []]


def _letters(tokens_L: Int[np.ndarray, "L"], tokenizer: Tokenizer) -> list[str]:
    """Each token as letters that can be seen."""
    known: dict[int, str] = {tokenizer.eod_id: "■"}
    for token in tokens_L.tolist():
        if token not in known:
            decoded = tokenizer.decode([token])
            known[token] = (
                "".join(MARKS.get(letter, letter if letter.isprintable() else "·") for letter in decoded) or "·"
            )
    return [known[token] for token in tokens_L.tolist()]


def _font() -> Any:
    """A font of one width, which matplotlib brings."""
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSansMono.ttf", 13)


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure  # drawn through its objects: no display, no state of the process

    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def _pixels(figure: Any) -> UInt8[np.ndarray, "H W 3"]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]
