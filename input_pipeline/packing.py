"""Rows of a fixed length: which stretches of the token store stand in each. Planned once, stored small,
read at random.

A row is a list of spans, each within one document. Planning touches lengths only, so that another row
length costs seconds where tokenizing costs minutes.

    rows/<key>/rows.npy      int64 [rows + 1]    row r has spans rows[r] .. rows[r + 1] - 1
    rows/<key>/starts.npy    int64 [spans]       first token of each span, in the store
    rows/<key>/lengths.npy   int32 [spans]       its tokens
    rows/<key>/plan.json     seq_len, packing and fingerprint; the folder appears whole, by one rename
"""

import functools
import json
import os
import pathlib
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from input_pipeline import batch, cache
from input_pipeline.token_store import TokenStore, open_store

FORMAT = "rows 1"
# Rows that first_fit keeps open at a time. More pack tighter and plan slower.
WINDOW = 64
_BLOCK = 8
_ARRAYS = ("rows", "starts", "lengths")


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of one token store. Pickles as its paths."""

    store: TokenStore
    directory: pathlib.Path
    seq_len: int
    fingerprint: str

    @functools.cached_property
    def _plan(self) -> dict[str, np.ndarray]:
        return {name: np.asarray(np.load(self.directory / f"{name}.npy", mmap_mode="r")) for name in _ARRAYS}

    def __len__(self) -> int:
        return len(self._plan["rows"]) - 1

    @property
    def num_tokens(self) -> int:
        """Targets of weight 1 in all rows together: every text token once, and the end of every document."""
        return self.store.num_tokens

    @property
    def num_bytes(self) -> int:
        """Bytes of source text behind these targets, for bits per byte."""
        return self.store.num_bytes

    @property
    def contract(self) -> batch.Contract:
        """What a batch is."""
        return batch.text(self.seq_len)

    def read(self, indices_B: Int64[np.ndarray, "B"]) -> batch.Batch:
        """Rows by number, in this order: see batch.py for what comes back, each array [B, seq_len]."""
        starts_S, lengths_S, segments_S = self._spans(indices_B)
        begin_S = np.cumsum(lengths_S) - lengths_S
        place_N = np.arange(len(indices_B) * self.seq_len)
        source_N = np.repeat(starts_S - begin_S, lengths_S)
        source_N += place_N
        flat = {
            "tokens": self.store.tokens.take(source_N, mode="clip"),  # padding may lie beyond the end
            "targets": self.store.tokens.take(np.add(source_N, 1, out=source_N), mode="clip"),
            "segment_ids": np.repeat(segments_S.astype(np.int32), lengths_S),
            "positions": place_N.astype(np.int32) - np.repeat(begin_S.astype(np.int32), lengths_S),
            "weights": np.ones(len(place_N), np.float32),
        }
        if not (real_N := flat["segment_ids"] > 0).all():
            flat = {key: array * real_N for key, array in flat.items()}
        shape = (len(indices_B), self.seq_len)
        return {key: array.astype(batch.DTYPES[key], copy=False).reshape(shape) for key, array in flat.items()}

    def _spans(self, indices_B: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Start, length and segment of all spans of these rows, each row filled up by a span of padding
        (segment 0).
        """
        first_B = self._plan["rows"][indices_B]
        size_B = self._plan["rows"][indices_B + 1] - first_B + 1
        begin_B = np.cumsum(size_B) - size_B
        begin_S = np.repeat(begin_B, size_B)
        segments_S = np.arange(1, len(begin_S) + 1) - begin_S
        span_S = np.repeat(first_B, size_B) + segments_S - 1
        padding_B = begin_B + size_B - 1
        span_S[padding_B] = 0
        starts_S, lengths_S = self._plan["starts"][span_S], self._plan["lengths"][span_S]
        starts_S[padding_B] = lengths_S[padding_B] = segments_S[padding_B] = 0
        lengths_S[padding_B] = self.seq_len - np.add.reduceat(lengths_S, begin_B)
        return starts_S, lengths_S, segments_S

    def __reduce__(self):
        return _open, (self.store.directory, self.directory)


def plan_rows(store: TokenStore, *, seq_len: int, packing: str, cache_dir: pathlib.Path) -> Rows:
    """The rows of `store`; planned once, then read from the cache. `packing` is a key of `PACKINGS`.

    Raises:
      ValueError: not one token.
    """
    fingerprint = cache.key(FORMAT, WINDOW, store.fingerprint, seq_len, packing)
    directory = cache_dir / "rows" / fingerprint[:32]
    if not directory.is_dir():
        if not store.num_tokens:
            raise ValueError(
                f"data: expected text, but all {store.num_documents} records hold none; see {store.directory}"
            )
        arrays = PACKINGS[packing](store.documents[0], store.documents[1], seq_len)
        plan = {"seq_len": seq_len, "packing": packing, "fingerprint": fingerprint}
        _write(directory, arrays=dict(zip(_ARRAYS, arrays, strict=True)), plan=plan)
    return _open(store.directory, directory)


Plan = tuple[np.ndarray, np.ndarray, np.ndarray]


def concat(starts_D: np.ndarray, counts_D: np.ndarray, seq_len: int) -> Plan:
    """All tokens in order, cut into rows: no padding but in the last row; rows cut most documents."""
    end = int(starts_D[-1] + counts_D[-1])
    row_starts = np.arange(0, end, seq_len)
    cuts = np.sort(np.concatenate([starts_D, row_starts]), kind="stable")  # merges: both are sorted
    cuts = cuts[np.diff(cuts, prepend=-1) > 0]
    rows = np.searchsorted(cuts, np.append(row_starts, end))
    return rows, cuts, np.diff(cuts, append=end).astype(np.int32)


def first_fit(starts_D: np.ndarray, counts_D: np.ndarray, seq_len: int) -> Plan:
    """Documents are cut only where they are longer than a row. A piece that fills a row has it to itself; any
    other goes into the first open row with room for it.

    WINDOW rows are open at a time; when none has room, the fullest makes place for a new one.
    """
    pieces_D = -(-counts_D // seq_len)
    document_P = np.repeat(np.arange(len(counts_D)), pieces_D)
    nth_P = np.arange(len(document_P)) - np.repeat(np.cumsum(pieces_D) - pieces_D, pieces_D)
    starts_P = starts_D[document_P] + nth_P * seq_len
    lengths_P = np.minimum(counts_D[document_P] - nth_P * seq_len, seq_len)
    full_P = lengths_P == seq_len
    row_P = np.empty_like(lengths_P)
    row_P[~full_P] = shared = _place(lengths_P[~full_P].tolist(), seq_len)
    row_P[full_P] = np.arange(full_P.sum()) + shared.max(initial=-1) + 1
    order = np.argsort(row_P, kind="stable")
    rows = np.searchsorted(row_P[order], np.arange(row_P.max() + 2))
    return rows, starts_P[order], lengths_P[order].astype(np.int32)


PACKINGS: dict[str, Callable[[np.ndarray, np.ndarray, int], Plan]] = {
    "concat": concat,
    "first_fit": first_fit,
}


def _place(lengths: list[int], seq_len: int) -> np.ndarray:
    """The row of each piece, int64. Blocks of open rows keep their largest room, so that few are looked at."""
    room = [0] * WINDOW  # of each open row; a slot without a row has none
    largest = [0] * (WINDOW // _BLOCK)  # room in each block
    row_in = [-1] * WINDOW
    rows = []
    num_rows = 0
    for length in lengths:
        if max(largest) >= length:
            block = _first_of(largest, length)
            slot = block * _BLOCK + _first_of(room[block * _BLOCK : (block + 1) * _BLOCK], length)
        else:
            slot = room.index(min(room))
            block = slot // _BLOCK
            room[slot], row_in[slot] = seq_len, num_rows
            num_rows += 1
        room[slot] -= length
        largest[block] = max(room[block * _BLOCK : (block + 1) * _BLOCK])
        rows.append(row_in[slot])
    return np.array(rows, np.int64)


def _first_of(rooms: list[int], length: int) -> int:
    for i, room in enumerate(rooms):
        if room >= length:
            return i
    raise AssertionError("no room")


def _write(directory: pathlib.Path, *, arrays: dict[str, np.ndarray], plan: dict) -> None:
    """The folder, whole or not at all; where another process was faster, its copy stays: the bytes are the
    same.
    """
    draft = directory.with_name(f"{directory.name}.{uuid.uuid4().hex}.tmp")
    draft.mkdir(parents=True)
    try:
        for name, array in arrays.items():
            np.save(draft / f"{name}.npy", array)
        (draft / "plan.json").write_text(json.dumps(plan))
        os.rename(draft, directory)
    except OSError:
        if not directory.is_dir():
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _open(store_directory: pathlib.Path, directory: pathlib.Path) -> Rows:
    plan = json.loads((directory / "plan.json").read_bytes())
    return Rows(open_store(store_directory), directory, plan["seq_len"], plan["fingerprint"])
