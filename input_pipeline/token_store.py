"""Documents become tokens once: a folder of memory-mapped tokens, named by what they were made from.

Each document is stored as [eod, t0 .. tn-1], and one more eod ends the store. So the target of any stored
token is simply the next one: eod predicts the first token, the end of a document is predicted as eod, and
every text token is predicted exactly once.

    tokens/<key>/shards/000007.npz   some megabytes of whole documents; gone when the store is complete
    tokens/<key>/tokens.bin          all of them in order, little-endian uint16 or uint32
    tokens/<key>/documents.npy       int64 [3, documents]: first token, tokens with the separator, bytes of text
    tokens/<key>/index.json          written last: without it there is no store

A record that holds no text keeps its number and has no token at all, not even the separator.

Shards are the unit of parallel work and of resuming. The bytes of a store depend on the text and the
tokenizer alone. While shards are joined a store takes its space twice.
"""

import functools
import json
import pathlib
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from input_pipeline import cache, workers
from input_pipeline.documents import BadRecord, Content, Source, attempt, size, why_bad
from input_pipeline.progress import Progress, quiet
from input_pipeline.tokenizer import Tokenizer, id_dtype

FORMAT = "token store 2"
# Documents that begin in the same stretch of this many bytes of text make a shard; longer stretches for a corpus
# that would have too many shards.
SHARD_BYTES = 1 << 20
MAX_SHARDS = 4096
# Documents named in the index because they are bad, or bytes of theirs were replaced; all of them are counted.
MAX_NAMED = 100
_COUNTS = ("lengths", "num_bytes", "replaced", "bad")


@dataclass(frozen=True)
class Index:
    """index.json: what a store holds, and how long its files must be."""

    format: str
    fingerprint: str
    dtype: str
    num_tokens: int  # with one separator a document that is not bad, without the last eod
    num_documents: int
    num_bytes: int  # of source text
    num_replaced: int  # documents that were not UTF-8, and lost the bytes that were not
    replaced: tuple[str, ...]  # names of the first of these
    num_bad: int  # records that hold no text, and count for nothing
    bad: tuple[str, ...]  # names of the first of these, each with the reason


@dataclass(frozen=True, eq=False)
class TokenStore:
    """Tokens of a whole source, read from disk as they are needed. Pickles as its path."""

    directory: pathlib.Path
    index: Index

    @property
    def num_tokens(self) -> int:
        """Tokens that have a target: those of the text, and one separator a document that is not bad."""
        return self.index.num_tokens

    @property
    def num_documents(self) -> int:
        return self.index.num_documents

    @property
    def num_bytes(self) -> int:
        """Bytes of source text."""
        return self.index.num_bytes

    @property
    def fingerprint(self) -> str:
        return self.index.fingerprint

    @functools.cached_property
    def tokens(self) -> np.ndarray:
        """[num_tokens + 1], uint16 or uint32, memory-mapped."""
        return np.asarray(np.memmap(self.directory / "tokens.bin", self.index.dtype, mode="r"))

    @functools.cached_property
    def documents(self) -> np.ndarray:
        """int64 [3, num_documents], memory-mapped: first token, tokens with the separator, bytes of text."""
        return np.asarray(np.load(self.directory / "documents.npy", mmap_mode="r"))

    def read(self, start: int, *, length: int) -> np.ndarray:
        """Tokens [start, start + length), copied."""
        assert 0 <= start <= start + length <= len(self.tokens)
        return np.array(self.tokens[start : start + length])

    def __reduce__(self):
        return open_store, (self.directory,)


def build(
    source: Source,
    *,
    tokenizer: Tokenizer,
    cache_dir: pathlib.Path,
    workers: int = 0,
    progress: Progress = quiet,
) -> TokenStore:
    """The store of this text under this tokenizer: opened if it is complete, else made or finished.

    Args:
      workers: processes that tokenize; 0 does it here. The stored bytes do not depend on it.
      progress: hears bytes of text; a resumed build begins above zero and says "resumed".

    Raises:
      ValueError: a store whose files are not as long as its index says, or a document that changes while it
        is read.
    """
    fingerprint = cache.key(FORMAT, source.fingerprint(), tokenizer.fingerprint)
    directory = cache_dir / "tokens" / fingerprint[:32]
    with cache.locked(directory.with_suffix(".lock"), progress=progress):
        if not (directory / "index.json").is_file():
            job = _Job(source, tokenizer, directory / "shards")
            _tokenize(job, num_workers=workers, progress=progress)
            _join(job, directory=directory, fingerprint=fingerprint)
    return open_store(directory)


def open_store(directory: pathlib.Path) -> TokenStore:
    """A complete store.

    Raises:
      FileNotFoundError: no index, so nothing that may be used.
      ValueError: files that are not as long as the index says.
    """
    raw = json.loads((directory / "index.json").read_bytes())
    store = TokenStore(directory, Index(**raw | {name: tuple(raw[name]) for name in ("replaced", "bad")}))
    sizes = {
        "tokens.bin": (store.num_tokens + 1) * np.dtype(store.index.dtype).itemsize,
        "documents.npy": 128 + 3 * 8 * store.num_documents,  # 128: the header of an .npy
    }
    for name, expected in sizes.items():
        file = directory / name
        found = file.stat().st_size if file.is_file() else 0
        if found != expected:
            raise ValueError(f"expected {expected} bytes in {file}, found {found}; delete {directory} to make it again")
    return store


# --- building ---


@dataclass(frozen=True)
class _Job:
    """What a worker needs to know."""

    source: Source
    tokenizer: Tokenizer
    shards: pathlib.Path

    @property
    def dtype(self) -> np.dtype:
        return id_dtype(self.tokenizer.vocab_size)

    def path(self, shard: int) -> pathlib.Path:
        return self.shards / f"{shard:06d}.npz"

    @functools.cached_property
    def cuts(self) -> np.ndarray:
        """int64 [shards + 1]: the first document of each shard, and the number of documents."""
        num_bytes = np.array([self.source.num_bytes(i) for i in range(len(self.source))], np.int64)
        stretch_bytes = max(SHARD_BYTES, int(num_bytes.sum()) // MAX_SHARDS)
        stretch = (np.cumsum(num_bytes) - num_bytes) // stretch_bytes
        return np.append(np.flatnonzero(np.diff(stretch, prepend=-1)), len(num_bytes))

    def make_shard(self, shard: int) -> int:
        """Tokenize the documents of one shard into its file: a zip, so that spoilt bytes are noticed."""
        numbers = range(self.cuts[shard], self.cuts[shard + 1])
        contents = [attempt(self.source.read, i) for i in numbers]
        tokens = [self._tokens(content) for content in contents]
        lengths = [len(ids) for ids in tokens]
        num_bytes = [size(content) for content in contents]
        replaced = [i for i, content in zip(numbers, contents, strict=True) if self._replaces_bytes(content)]
        bad = [i for i, content in zip(numbers, contents, strict=True) if isinstance(content, BadRecord)]
        _save(self.path(shard), np.concatenate(tokens), lengths, num_bytes, replaced, bad)
        return shard

    def _tokens(self, content: Content) -> np.ndarray:
        """[eod, t0 .. tn-1]; nothing for a bad record."""
        if isinstance(content, BadRecord):
            return np.empty(0, self.dtype)
        return np.append(np.array([self.tokenizer.eod_id], self.dtype), self.tokenizer.encode(content))

    def _replaces_bytes(self, content: Content) -> bool:
        """Whether the tokenizer loses bytes of this text."""
        return self.tokenizer.reads_utf8_only and not isinstance(content, BadRecord) and not _is_utf8(content)


def _save(path: pathlib.Path, tokens: np.ndarray, *counts: list[int]) -> None:
    arrays = zip(_COUNTS, (np.array(count, np.int64) for count in counts), strict=True)
    with cache.replacing(path) as file:
        np.savez(file, allow_pickle=False, tokens=tokens, **dict(arrays))


def _tokenize(job: _Job, *, num_workers: int, progress: Progress) -> None:
    """Make every shard that is not there yet."""
    bytes_of = [
        sum(job.source.num_bytes(i) for i in range(first, last))
        for first, last in zip(job.cuts[:-1], job.cuts[1:], strict=True)
    ]
    missing = [shard for shard in range(len(bytes_of)) if not job.path(shard).is_file()]
    resumed = len(missing) < len(bytes_of)
    label = "tokenizing, resumed (bytes)" if resumed else "tokenizing (bytes)"
    total = sum(bytes_of)
    done = total - sum(bytes_of[shard] for shard in missing)
    progress(label, done, total)
    num_workers = min(num_workers, len(missing))
    for shard in workers.completed(job.make_shard, missing, num_workers=num_workers):
        done += bytes_of[shard]
        progress(label, done, total)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _join(job: _Job, *, directory: pathlib.Path, fingerprint: str) -> None:
    """Put all shards into one store, and its index last of all."""
    counts: dict[str, list[np.ndarray]] = {name: [] for name in _COUNTS}
    with cache.replacing(directory / "tokens.bin") as file:
        for shard in _read_shards(job):
            file.write(shard["tokens"].tobytes())
            for name, found in counts.items():
                found.append(shard[name])
        file.write(np.array([job.tokenizer.eod_id], job.dtype).tobytes())
    lengths, num_bytes, replaced, bad = map(np.concatenate, counts.values())
    with cache.replacing(directory / "documents.npy") as file:
        np.save(file, np.stack([np.cumsum(lengths) - lengths, lengths, num_bytes]))
    index = Index(
        format=FORMAT,
        fingerprint=fingerprint,
        dtype=job.dtype.str,
        num_tokens=int(lengths.sum()),
        num_documents=len(lengths),
        num_bytes=int(num_bytes.sum()),
        num_replaced=len(replaced),
        replaced=tuple(job.source.name(i) for i in replaced[:MAX_NAMED]),
        num_bad=len(bad),
        bad=tuple(why_bad(job.source, i) for i in bad[:MAX_NAMED]),
    )
    with cache.replacing(directory / "index.json") as file:
        file.write(json.dumps(asdict(index), indent=2).encode())
    shutil.rmtree(job.shards)


def _read_shards(job: _Job) -> Iterator[dict[str, np.ndarray]]:
    for shard in range(len(job.cuts) - 1):
        path = job.path(shard)
        try:
            with np.load(path) as arrays:
                yield dict(arrays)
        except (zipfile.BadZipFile, ValueError) as error:
            path.unlink()
            raise ValueError(f"expected a whole shard in {path}, but {error}; deleted it: run again") from error
