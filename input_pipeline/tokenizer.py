"""Text to token ids and back: bytes, a byte-level BPE fitted on the corpus, or any tokenizer.json.

Every tokenizer has a separator, `eod_id`, which no text encodes to: it stands before each document in the
token store.
"""

import functools
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from input_pipeline import cache
from input_pipeline.documents import BadRecord, Source, attempt
from input_pipeline.progress import Progress, quiet

if TYPE_CHECKING:
    from input_pipeline.spec import Data

EOD = "<|endofdocument|>"
# What the separator is called in other people's files, in order of preference.
SEPARATORS = (EOD, "<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|eos|>", "[EOS]", "[SEP]")
# Changes whenever `_fit` would give another result for the same text.
RECIPE = "byte-level bpe 1"
# A larger corpus is sampled: documents in the order of a hash of their names, until this much text.
SAMPLE_BYTES = 64 << 20
# Longer texts are encoded in pieces, to bound memory.
PIECE_BYTES = 1 << 20

_BPE = re.compile(r"bpe:([1-9]\d*)")
_MIN_BPE = 257
_MAX_BPE = 1 << 20


class Tokenizer(Protocol):
    """Ids 0 .. vocab_size - 1, the separator among them. Picklable."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def eod_id(self) -> int: ...

    @property
    def fingerprint(self) -> str:
        """Hex; the same for tokenizers that encode alike."""

    @property
    def reads_utf8_only(self) -> bool:
        """True where bytes that are not UTF-8 are replaced, False where they are kept."""

    def encode(self, text: bytes) -> np.ndarray:
        """Ids of a whole document, uint16 or uint32 (`id_dtype`), without the separator."""

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """The text of these ids; separators vanish, and what is not UTF-8 becomes U+FFFD."""


def id_dtype(vocab_size: int) -> np.dtype:
    """The smaller of uint16 and uint32 that holds every id."""
    return np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4")


@dataclass(frozen=True)
class Bytes:
    """One token a byte: nothing to fit, exact for any content."""

    vocab_size: int = 257
    eod_id: int = 256
    fingerprint: str = "bytes"
    reads_utf8_only: bool = False

    def encode(self, text: bytes) -> np.ndarray:
        return np.frombuffer(text, np.uint8).astype(id_dtype(self.vocab_size))

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        return bytes(int(i) for i in ids if i < self.eod_id).decode("utf-8", "replace")


@dataclass(frozen=True)
class HuggingFace:
    """A tokenizer of the `tokenizers` library; `definition` is the text of its tokenizer.json.

    Special tokens spelt out in a text are encoded as the text that they are.
    """

    definition: str
    reads_utf8_only: bool = True

    @functools.cached_property
    def _tokenizer(self) -> Any:
        import tokenizers

        loaded = tokenizers.Tokenizer.from_str(self.definition)
        loaded.no_truncation()  # a saved truncation would cut documents in silence
        loaded.no_padding()
        loaded.encode_special_tokens = True
        return loaded

    @functools.cached_property
    def vocab_size(self) -> int:
        return max(self._tokenizer.get_vocab(with_added_tokens=True).values()) + 1

    @functools.cached_property
    def eod_id(self) -> int:
        ids = (self._tokenizer.token_to_id(name) for name in SEPARATORS)
        found = next((i for i in ids if i is not None), None)
        if found is None:
            raise ValueError(
                f"data.tokenizer: expected a token that separates documents, one of {', '.join(SEPARATORS)}; "
                f"this tokenizer.json has none; add {EOD!r} to its added_tokens"
            )
        return found

    @functools.cached_property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.definition.encode()).hexdigest()

    @functools.cached_property
    def _splits_at_newlines(self) -> bool:
        """Byte-level pre-tokenizers never join a word with the single newline before it, so a text may be
        cut there.
        """
        return '"ByteLevel"' in json.dumps(json.loads(self.definition).get("pre_tokenizer"))

    def encode(self, text: bytes) -> np.ndarray:
        decoded = text.decode("utf-8", "replace")
        parts = pieces(decoded) if self._splits_at_newlines else [decoded]
        ids_of_parts = [np.empty(0, id_dtype(self.vocab_size))]
        for part in parts:
            # The fast form leaves out offsets into the text; it takes batches alone.
            [encoded] = self._tokenizer.encode_batch_fast([part], add_special_tokens=False)
            ids_of_parts.append(np.asarray(encoded.ids, ids_of_parts[0].dtype))
        return np.concatenate(ids_of_parts)

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        return self._tokenizer.decode([int(i) for i in ids], skip_special_tokens=True)

    def __getstate__(self) -> dict[str, Any]:
        return {"definition": self.definition, "reads_utf8_only": self.reads_utf8_only}


def vocab_size(name: str) -> int:
    """The size that a model needs for `data.tokenizer`, known without any corpus; a fitted one may use
    fewer ids.

    Raises:
      ValueError: not "bytes", "bpe:N" with N of 257 or more, or a path to a tokenizer.json.
    """
    if name == "bytes":
        return Bytes().vocab_size
    if size := _bpe_size(name):
        return size
    return _open_file(name).vocab_size


def load(data: "Data", *, train_source: Source, progress: Progress = quiet) -> Tokenizer:
    """The tokenizer that `data.tokenizer` names; "bpe:N" is fitted on `train_source`, once, and kept in the
    cache.
    """
    if data.tokenizer == "bytes":
        return Bytes()
    if size := _bpe_size(data.tokenizer):
        return _fitted(train_source, size=size, cache_dir=cache.directory(data.cache), progress=progress)
    return _open_file(data.tokenizer)


def save(tokenizer: Tokenizer, folder: Any) -> None:
    """Keeps a tokenizer with a run, as `folder/tokenizer.json`; bytes need no file. `folder` is a path of any kind."""
    if isinstance(tokenizer, HuggingFace):
        (folder / "tokenizer.json").write_text(tokenizer.definition)


def open_saved(name: str, folder: Any) -> Tokenizer:
    """The tokenizer that `save` kept; `name` is the run's `data.tokenizer`.

    Raises:
      ValueError: the file is gone.
    """
    if name == "bytes":
        return Bytes()
    if not (folder / "tokenizer.json").exists():
        raise ValueError(f"expected {folder / 'tokenizer.json'}, got no such file; run the training line again")
    return HuggingFace((folder / "tokenizer.json").read_text())


def pieces(text: str, *, limit: int = PIECE_BYTES) -> Iterator[str]:
    """Cut a long text after newlines that have no other space on either side; most pieces hold about
    `limit` characters.

    A text without such a newline stays whole.
    """
    start = 0
    for newline in re.finditer(r"(?<=\S)\n(?=\S)", text) if len(text) > limit else ():
        if newline.end() - start >= limit:
            yield text[start : newline.end()]
            start = newline.end()
    if start < len(text):
        yield text[start:]


def _bpe_size(name: str) -> int:
    """N of "bpe:N", 0 for other names."""
    if not name.startswith("bpe"):
        return 0
    match = _BPE.fullmatch(name)
    if not match or not _MIN_BPE <= int(match[1]) <= _MAX_BPE:
        raise ValueError(
            f"data.tokenizer: expected 'bpe:N' with N from {_MIN_BPE} to {_MAX_BPE}, got {name!r}; write 'bpe:4096'"
        )
    return int(match[1])


def _open_file(path: str) -> HuggingFace:
    file = pathlib.Path(path).expanduser()
    if not file.is_file():
        raise ValueError(
            f"data.tokenizer: expected 'bytes', 'bpe:4096' or the path of a tokenizer.json, got {path!r}, "
            f"which is no file in {os.getcwd()}"
        )
    tokenizer = HuggingFace(file.read_text("utf-8"))
    try:
        assert tokenizer.vocab_size
    except Exception as error:  # the library raises bare Exceptions
        raise ValueError(f"data.tokenizer: expected a tokenizer.json, but {file} does not load: {error}") from None
    assert tokenizer.eod_id >= 0
    return tokenizer


# --- fitting ---


def _fitted(source: Source, *, size: int, cache_dir: pathlib.Path, progress: Progress) -> HuggingFace:
    """From the cache, or fitted now; processes that ask at the same time fit once."""
    name = cache.key(RECIPE, size, SAMPLE_BYTES, source.fingerprint())[:32]
    file = cache_dir / "tokenizers" / f"{name}.json"
    with cache.locked(file.with_suffix(".lock"), progress=progress):
        if not file.is_file():
            definition = _fit(source, size=size, progress=progress)
            with cache.replacing(file) as draft:
                draft.write(definition.encode())
    return HuggingFace(file.read_text("utf-8"))


def _fit(source: Source, *, size: int, progress: Progress) -> str:
    """The tokenizer.json of a byte-level BPE with `size` ids at most; the same text gives the same bytes."""
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers, trainers

    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[EOD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_sample(source, progress=progress), trainer)
    return tokenizer.to_str()


def _sample(source: Source, *, progress: Progress) -> Iterator[str]:
    """Texts to fit on: all of them up to SAMPLE_BYTES, else the first by a hash of their names, the last one cut.

    They are read in the order of the source, which is quick where neighbours are stored together.
    """
    order = sorted(range(len(source)), key=lambda i: (cache.key("sample", source.name(i)), i))
    room = {}
    total = 0
    for i in order:
        room[i] = min(source.num_bytes(i), SAMPLE_BYTES - total)
        total += room[i]
        if total >= SAMPLE_BYTES:
            break
    done = 0
    for i in sorted(room):
        text = attempt(source.read, i)
        if isinstance(text, BadRecord):
            continue
        done += room[i]
        progress("fitting the tokenizer (bytes)", done, total)
        yield from pieces(text[: room[i]].decode("utf-8", "replace"))
