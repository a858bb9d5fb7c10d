"""Checkpoints: state + cursor + config + a digest of each leaf, under `checkpoints/<step>` (law 9).

Orbax v1 writes in the background and commits with one rename. What it does not see is checked here: a flipped
bit in array data, a dtype that would be cast, a marker or a record that is gone. All but the arrays is a record
of JSON in the custom metadata, sealed with a SHA-256 of its own.
"""

import logging
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
from etils import epath
from jax.experimental import multihost_utils
from orbax.checkpoint import v1 as ocp

from train import durations, trees
from train.damage import Damaged, read
from train.digest import check_fit, digests, seal, unseal
from train.durations import Every

FORMAT = 1
MARKER, RECORD = "commit_success.txt", "_CHECKPOINT_METADATA"
OPTIONAL = ("ema",)  # parts of a state that a run may begin or cease to keep
NEEDED = (MARKER, RECORD, "state/_METADATA", "state/manifest.ocdbt")
LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Checkpoint(Every):
    """The config section `checkpoint`; without a cadence only the last step is saved. Raises ValueError of one line."""

    keep_last: int = 1  # how many of the newest to keep
    keep_best: int = 0  # how many of the best to keep as well; a step may be both
    best_metric: str = "val/loss"
    best_mode: str = "min"  # or "max"

    def __post_init__(self):
        durations.check(self, "checkpoint")
        for name, fine, expected, instead in (
            ("keep_last", self.keep_last >= 1, "1 or more", 1),
            ("keep_best", self.keep_best >= 0, "0 or more", 0),
            (
                "best_metric",
                not self.best_metric.startswith("test"),
                "no metric of the test split",
                "val/loss",
            ),
            ("best_mode", self.best_mode in ("min", "max"), '"min" or "max"', "min"),
        ):
            if not fine:
                came = getattr(self, name)
                raise ValueError(f"checkpoint.{name}: expected {expected}, got {came!r}; write {instead!r}")


@dataclass(frozen=True)
class Restored:
    """What a checkpoint held: `state` is the tree that was asked for, on its shardings."""

    step: int
    state: Any
    cursor: dict
    config: dict


def kept(metrics: dict[int, dict[str, float]], spec: Checkpoint) -> set[int]:
    """Of the steps in `{step: metrics}`, those to keep: the last, and the best (of equals the newer).

    A step without the metric, or with one that is not finite, is no candidate for the best.
    """
    sign = 1 if spec.best_mode == "min" else -1
    scores = {step: sign * found.get(spec.best_metric, math.nan) for step, found in metrics.items()}
    ranked = sorted((score, -step) for step, score in scores.items() if math.isfinite(score))
    return {*sorted(metrics)[-spec.keep_last :], *(-negative for _, negative in ranked[: spec.keep_best])}


class Checkpoints:
    """The checkpoints of one run; a context manager whose end waits for what is being written.

    Only `save` and `restore_newest_good` change anything on disk, so a tool may read while a run writes. Of
    several processes, all call every method, in the same order.
    """

    def __init__(self, folder, spec: Checkpoint, *, warn: Callable[[str], None] = LOG.warning):
        """`folder`: the run's `checkpoints/`, also on a bucket. `warn` gets a line per damaged checkpoint."""
        self.folder = epath.Path(folder).expanduser().resolve()
        self._spec, self._warn = spec, warn
        self._writer: ocp.training.Checkpointer | None = None
        self._pending: tuple[int, ocp.AsyncResponse] | None = None
        self._metrics: dict[int, dict[str, float]] = {}

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def steps(self) -> list[int]:
        """Durable steps, ascending; one that is still being written is not among them."""
        pending = self._pending and self._pending[0]
        return [step for step in self._found() if step != pending and (self._path(step) / MARKER).exists()]

    def save(self, step: int, state, *, cursor: dict, config: dict, metrics: dict[str, float]) -> None:
        """Starts to write `state`, a tree of jax Arrays, and returns once it may be donated.

        Waits for the save before it and raises its error, as `wait` does. A durable step is left as it is.
        Raises ValueError if cursor, config or metrics are not JSON.
        """
        self.wait()
        if step in self.steps():
            return
        if self._path(step).exists():  # never finished; orbax would overwrite it
            self._set_aside(step, f"{self._path(step) / MARKER} is missing")
        self._metrics[step] = {name: float(value) for name, value in metrics.items()}
        record = {"format": FORMAT, "step": step, "cursor": cursor, "config": config}
        record |= {"metrics": self._metrics[step], "leaves": digests(_named(state))}
        sealed, writer = seal(record), self._open_writer()
        # force: whoever calls this wants a save; v1's save policies would decide for themselves
        response = writer.save_checkpointables_async(step, {"state": state}, custom_metadata=sealed, force=True)
        self._pending = step, response

    def wait(self) -> None:
        """Returns once the last save is durable; raises, once, the error that it met in the background."""
        if self._pending is None:
            return
        step, response = self._pending
        try:
            response.result()
        except Exception as error:
            error.add_note(f"checkpoint {step} was not saved in {self.folder}")
            self._pending = None
            self._close_writer()
            raise
        self._pending = None

    def close(self) -> None:
        """`wait`, and the end of the writer."""
        try:
            self.wait()
        finally:
            self._close_writer()

    def restore_newest_good(self, abstract_state) -> Restored | None:
        """The newest checkpoint that is whole; None where there is none at all.

        `abstract_state`: a tree of `jax.ShapeDtypeStruct` with shardings of any mesh; parts of `OPTIONAL` that it or
        the checkpoint lacks are not in the result. Newer, damaged ones move
        to `damaged_checkpoints/<step>` beside the folder, with a warning, and their steps can be saved again.
        Raises Damaged if all are (and moves none, or the next start would begin from zero in silence),
        ValueError if names, shapes or dtypes of leaves differ.
        """
        self.wait()
        restored, faults = self._first_good(self._found(), abstract_state)
        for step, fault in faults.items():
            self._set_aside(step, fault)
        return restored

    def restore_part(self, abstract_part, *, part: str = "params", step: int | None = None) -> Restored:
        """One top-level subtree, its digests checked, of `step` or else of the newest whole checkpoint.

        Reads no other arrays, moves nothing. Raises ValueError if there is no checkpoint or a leaf does not fit,
        Damaged if `step` or all are.
        """
        steps = self._found() if step is None else [step]
        found, faults = self._first_good(steps, {part: abstract_part}, part)
        for bad, fault in faults.items():
            self._warn(f"checkpoint {bad} is damaged: {fault}; passed over")
        if found is None:
            raise ValueError(f"{self.folder}: expected a checkpoint, got none; train first, or fix --workdir")
        return replace(found, state=found.state[part])

    def read_metadata(self, step: int) -> dict:
        """A step's format, step, cursor, config, metrics and leaves, without arrays. Raises Damaged, ValueError."""
        if step not in self._found():
            raise ValueError(f"{self.folder}: expected a step of {self.steps()}, got {step}; write one of them")
        for file in (self._path(step) / name for name in NEEDED):
            if not file.exists():
                raise Damaged(f"{file} is missing")
        path = self._path(step)
        return read(path / RECORD, lambda: unseal(ocp.checkpointables_metadata(path).custom_metadata))

    def read_config(self, step: int) -> dict:
        """The config that a step was saved with. Raises Damaged, ValueError."""
        return self.read_metadata(step)["config"]

    def _path(self, step: int) -> epath.Path:
        return self.folder / str(step)

    def _found(self) -> list[int]:
        names = [path.name for path in self.folder.iterdir()] if self.folder.exists() else []
        return sorted(int(name) for name in names if name.isdecimal())

    def _first_good(self, steps: list[int], abstract, part="") -> tuple[Restored | None, dict[int, str]]:
        """-> the newest whole one of `steps`, and {step: fault} of those that were tried before it."""
        faults: dict[int, str] = {}
        for step in reversed(steps):
            try:
                return self._load(step, abstract, part), faults
            except Damaged as fault:
                faults[step] = str(fault)
        if faults:
            raise Damaged(
                f"{self.folder}: expected one good checkpoint, got only damaged ones ({faults}); "
                "put a copy of a good one there, or move the folder away to begin from step zero"
            )
        return None, faults

    def _load(self, step: int, abstract, part: str = "") -> Restored:
        record = self.read_metadata(step)
        inside = f"{part}/" if part else ""
        saved = {name: text for name, text in record["leaves"].items() if f"{name}/".startswith(inside)}
        if not part:
            abstract, saved = _in_common(abstract, saved)
        leaves = _named(abstract)
        try:
            check_fit(saved, leaves)  # orbax would cast a dtype in silence
        except ValueError as error:
            raise ValueError(f"checkpoint {step}, {error}") from None
        if bare := [name for name, leaf in leaves.items() if leaf.sharding is None]:
            raise ValueError(f"leaf {bare[0]}: expected a sharding, got None; write ShapeDtypeStruct(sharding=...)")
        context = ocp.Context()
        context.pytree.loading.partial_load = True  # the trees have been compared
        path = self._path(step)
        with context:
            load = partial(ocp.load_checkpointables, path, {"state": abstract})
            state = read(path / "state", load)["state"]
        for name, came in digests(_named(state)).items():
            if came != saved[name]:
                raise Damaged(f"leaf {name}: its digest is {came}, and {saved[name]} was saved")
        return Restored(step, state, record["cursor"], record["config"])

    def _open_writer(self) -> ocp.training.Checkpointer:
        if self._writer is not None:
            return self._writer
        for step in self._found():
            try:
                self._metrics[step] = self.read_metadata(step)["metrics"]
            except Damaged as fault:  # a Checkpointer would fail at it
                self._set_aside(step, str(fault))
        context = ocp.Context()
        context.array.saving.use_compression = False  # 3.5 times as fast; zstd saves 7 % of float noise
        context.array.saving.min_slice_bytes_for_replica_parallel = 1 << 20  # else each leaf compiles a slice
        retention = _Retention(self._spec, self._metrics)
        self._writer = ocp.training.Checkpointer(
            self.folder, context=context, preservation_policy=retention, cleanup_tmp_directories=True
        )
        return self._writer

    def _close_writer(self) -> None:
        """Also forgets what orbax lists: after a failed save, a step that never became durable."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(Exception):  # the error of a failed save once more; `wait` has raised it
                writer.close()

    def _set_aside(self, step: int, fault: str) -> None:
        self._close_writer()
        self._metrics.pop(step, None)
        shelf = self.folder.parent / "damaged_checkpoints"
        names = (str(step), *(f"{step}.{count}" for count in range(1, 1000)))
        target = next(shelf / name for name in names if not (shelf / name).exists())
        multihost_utils.sync_global_devices(f"checkpoint {step} is to move")
        if jax.process_index() == 0:
            shelf.mkdir(parents=True, exist_ok=True)
            self._path(step).rename(target)
        multihost_utils.sync_global_devices(f"checkpoint {step} has moved")
        self._warn(f"checkpoint {step} is damaged: {fault}; moved to {target}")


@dataclass(frozen=True)
class _Retention:
    """`kept` as a preservation policy of v1, whose own BestN sorts NaN and fails where the metric is absent.

    Orbax asks when a save begins, and deletes only after that save is durable.
    """

    spec: Checkpoint
    metrics: dict[int, dict[str, float]]  # of every step of this folder

    def should_preserve(self, checkpoints, *, context) -> list[bool]:
        keeps = kept({found.step: self.metrics[found.step] for found in checkpoints}, self.spec)
        return [found.step in keeps for found in checkpoints]


def _in_common(abstract, saved: dict[str, str]) -> tuple[Any, dict[str, str]]:
    """Both without the parts of `OPTIONAL` that only one of them has."""
    part = lambda name: name.partition("/")[0]
    lacking = (set(abstract) ^ {part(name) for name in saved}) & set(OPTIONAL)
    abstract = {name: tree for name, tree in abstract.items() if name not in lacking} if lacking else abstract
    return abstract, {name: text for name, text in saved.items() if part(name) not in lacking}


def _named(tree) -> dict[str, Any]:
    return dict(zip(trees.names(tree), jax.tree.leaves(tree), strict=True))
