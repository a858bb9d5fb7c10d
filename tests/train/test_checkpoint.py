"""Checkpoints come back bit for bit on every mesh, or not at all: what is damaged is named and passed over."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from train import checkpoint, damage
from train.checkpoint import MARKER, RECORD, Checkpoint, Checkpoints, Damaged, kept

AXES = ("data", "fsdp", "tensor")
MESHES = {
    "8,1,1": (8, 1, 1),
    "1,8,1": (1, 8, 1),
    "1,1,8": (1, 1, 8),
    "2,2,2": (2, 2, 2),
    "one device": (1, 1, 1),
}
CONFIG = {"model": {"name": "transformer", "sizes": [1, 2]}, "rate": 0.1}


def mesh_of(sizes=(2, 2, 2)) -> Mesh:
    devices = jax.devices()[: int(np.prod(sizes))]
    return jax.make_mesh(sizes, AXES, axis_types=(AxisType.Explicit,) * 3, devices=devices)


def on(tree, mesh: Mesh):
    """`tree` on `mesh`: matrices split over fsdp and tensor, all else replicated."""
    specs = [PartitionSpec("fsdp", "tensor") if leaf.ndim == 2 else PartitionSpec() for leaf in jax.tree.leaves(tree)]
    shardings = jax.tree.unflatten(jax.tree.structure(tree), [NamedSharding(mesh, spec) for spec in specs])
    return jax.device_put(tree, shardings)


def host_state(step: int) -> dict:
    """A training state, all of it a function of `step`, with every dtype that may stand in one."""
    rng = np.random.default_rng(step)
    kernel = rng.normal(size=(64, 128)).astype(np.float32)
    params = {
        "layers": {"kernel": kernel, "half": jnp.bfloat16(kernel)},
        "bias": rng.normal(size=4096).astype(np.float32),
    }
    moments = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(optax.constant_schedule(1e-3)))
    others = {
        "mask": kernel > 0,
        "bytes": rng.integers(0, 256, 16384, np.uint8),
        "key": rng.integers(0, 9, 2, np.uint32),
    }
    return {"step": np.int32(step), "params": params, "opt_state": moments.init(params), "others": others}


def state_of(step: int, mesh: Mesh):
    return on(jax.tree.map(np.asarray, host_state(step)), mesh)


def abstract(state):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state)


def assert_same(came, state):
    assert jax.tree.structure(came) == jax.tree.structure(state)
    for a, b in zip(jax.tree.leaves(came), jax.tree.leaves(state), strict=True):
        assert a.dtype == b.dtype
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def save(checkpoints: Checkpoints, step: int, mesh: Mesh, **metrics: float) -> None:
    metrics = {name.replace("_", "/"): value for name, value in metrics.items()}
    checkpoints.save(step, state_of(step, mesh), cursor={"examples": 12 * step}, config=CONFIG, metrics=metrics)


@pytest.fixture(scope="module")
def two_steps(tmp_path_factory) -> Path:
    """A run's workdir with checkpoints 1 and 2; copied before it is hurt."""
    workdir = tmp_path_factory.mktemp("run")
    with Checkpoints(workdir / "checkpoints", Checkpoint(keep_last=2)) as checkpoints:
        for step in (1, 2):
            save(checkpoints, step, mesh_of(), val_loss=1 / step)
    return workdir


@pytest.fixture
def run(two_steps, tmp_path) -> Path:
    return shutil.copytree(two_steps, tmp_path / "copy") / "checkpoints"


class Reader(Checkpoints):
    """Checkpoints with a list of the warnings."""

    def __init__(self, folder):
        self.warnings: list[str] = []
        super().__init__(folder, Checkpoint(keep_last=2), warn=self.warnings.append)

    def restore(self, mesh=None):
        return self.restore_newest_good(abstract(state_of(0, mesh or mesh_of())))


def flip(file: Path, byte: int, bit=2) -> None:
    raw = bytearray(file.read_bytes())
    raw[byte] ^= 1 << bit
    file.write_bytes(raw)


def assert_passed_over(run: Path, *words: str) -> None:
    """Step 2 is found damaged, named with `words` and moved; step 1 is restored; step 2 can be saved again."""
    with Reader(run) as reader:
        restored = reader.restore()
        assert restored.step == 1
        assert_same(restored.state, state_of(1, mesh_of()))
        (warning,) = reader.warnings
        for word in ("checkpoint 2 is damaged", "damaged_checkpoints/2", *words):
            assert word in warning
        assert (run.parent / "damaged_checkpoints" / "2").is_dir()
        assert reader.steps() == [1]
        save(reader, 2, mesh_of())
        reader.wait()
        assert reader.restore().step == 2
        assert len(reader.warnings) == 1


@pytest.mark.parametrize("sizes", MESHES.values(), ids=MESHES)
def test_comes_back_bitwise_on_every_mesh(run, sizes):
    mesh = mesh_of(sizes)
    with Reader(run) as reader:
        restored = reader.restore(mesh)
    assert (restored.step, restored.cursor, restored.config) == (2, {"examples": 24}, CONFIG)
    wanted = state_of(2, mesh)
    assert_same(restored.state, wanted)
    assert jax.tree.map(lambda x: x.sharding, restored.state) == jax.tree.map(lambda x: x.sharding, wanted)
    assert not reader.warnings


@pytest.mark.parametrize("sizes", MESHES.values(), ids=MESHES)
def test_what_any_mesh_saves_another_restores(tmp_path, sizes):
    with Reader(tmp_path / "checkpoints") as checkpoints:
        save(checkpoints, 5, mesh_of(sizes))
        assert_same(checkpoints.restore(mesh_of((1, 8, 1))).state, state_of(5, mesh_of()))


def test_the_state_may_be_donated_as_soon_as_save_returns(tmp_path):
    """(On CPU jax copies what orbax still reads, so that it may be that nothing was donated.)"""
    overwrite = jax.jit(lambda x: x * 0 - 1, donate_argnums=0)
    values = np.random.default_rng(0).normal(size=(1024, 2048)).astype(np.float32)
    with Checkpoints(tmp_path / "checkpoints", Checkpoint()) as checkpoints:
        for step in range(1, 4):
            array = on(values + step, mesh_of((1, 1, 1)))
            shape = abstract({"w": array})
            checkpoints.save(step, {"w": array}, cursor={}, config={}, metrics={})
            assert (overwrite(array) == -1).all()
            assert (np.asarray(checkpoints.restore_newest_good(shape).state["w"]) == values + step).all()


def test_a_durable_step_is_not_saved_twice(run):
    before = (run / "2" / RECORD).stat().st_mtime_ns
    with Reader(run) as reader:
        save(reader, 2, mesh_of())
        save(reader, 3, mesh_of())
        assert 3 not in reader.steps() or (run / "3").exists()
        save(reader, 3, mesh_of())
        assert reader.steps() == [2, 3]
    assert (run / "2" / RECORD).stat().st_mtime_ns == before


def test_none_where_there_is_none(tmp_path):
    with Reader(tmp_path / "checkpoints") as reader:
        assert reader.restore() is None
        assert reader.steps() == []
        with pytest.raises(ValueError, match="expected a checkpoint, got none"):
            reader.restore_part({})
    assert not (tmp_path / "checkpoints").exists()


def test_metadata_without_arrays(run):
    reader = Reader(run)
    assert reader.read_config(2) == CONFIG
    record = reader.read_metadata(1)
    assert record["metrics"] == {"val/loss": 1.0}
    assert record["leaves"]["params/layers/half"].startswith("bfloat16[64,128]:")
    with pytest.raises(ValueError, match=r"expected a step of \[1, 2\], got 7"):
        reader.read_config(7)


def test_one_part_of_the_state(run):
    wanted = state_of(2, mesh_of((1, 1, 1)))["params"]
    shutil.rmtree(run.parent / "checkpoints" / "1")
    restored = Reader(run).restore_part(abstract(wanted))
    assert (restored.step, restored.config) == (2, CONFIG)
    assert_same(restored.state, wanted)
    with pytest.raises(ValueError, match=r"leaf nothing: expected int32\[\], got no such leaf"):
        Reader(run).restore_part(abstract(state_of(2, mesh_of())["step"]), part="nothing")
    step = Reader(run).restore_part(abstract(state_of(2, mesh_of())["step"]), part="step", step=2).state
    assert int(step) == 2


def test_a_damaged_part_is_passed_over_but_not_moved(run):
    hurt_leaf(run, "params.bias")
    reader = Reader(run)
    params = abstract(state_of(1, mesh_of())["params"])
    assert reader.restore_part(params).step == 1
    assert "leaf params/bias" in reader.warnings[0]
    assert sorted(path.name for path in run.iterdir()) == ["1", "2"]
    with pytest.raises(Damaged, match="leaf params/bias"):
        reader.restore_part(params, step=2)
    assert_same(reader.restore_part(abstract(state_of(2, mesh_of())["others"]), part="others").state["key"],
                state_of(2, mesh_of())["others"]["key"])  # fmt: skip


def hurt_leaf(run: Path, name: str) -> None:
    """Flips one bit of a leaf's bytes, found by their value, in a data file of step 2."""
    leaf = host_state(2)
    for key in name.split("."):
        leaf = leaf[key]
    raw = np.asarray(leaf).tobytes()[:8]
    (file,) = [path for path in (run / "2" / "state").rglob("d/*") if raw in path.read_bytes()]
    flip(file, file.read_bytes().index(raw) + 5)


@pytest.mark.parametrize("name", ["params.bias", "params.layers.kernel", "params.layers.half", "others.bytes"])
def test_a_flipped_bit_in_array_data(run, name):
    hurt_leaf(run, name)
    assert_passed_over(run, f"leaf {name.replace('.', '/')}: its digest is")


def test_flipped_bits_anywhere(run, tmp_path):
    """No bit of no file can flip so that another state, cursor or config comes back."""
    rng = random.Random(0)
    wanted = state_of(2, mesh_of((1, 1, 1)))
    files = sorted(path for path in (run / "2").rglob("*") if path.is_file())
    for file in files * 2:
        whole = file.read_bytes()
        flip(file, rng.randrange(len(whole)), rng.randrange(8))
        reader = Checkpoints(run, Checkpoint())
        try:
            restored = reader.restore_part(abstract(wanted["params"]), step=2)
            assert_same(restored.state, wanted["params"])
            assert (restored.cursor, restored.config) == ({"examples": 24}, CONFIG)
        except Damaged:
            pass
        file.write_bytes(whole)


HARMLESS = (
    "_sharding",
    "state/commit_success.txt",
    "array_metadatas/process_0",
    "ocdbt.process_0/manifest.ocdbt",
)


@pytest.mark.parametrize("hurt", ["missing", "truncated", "empty"])
@pytest.mark.parametrize("name", [MARKER, RECORD, "_METADATA", "state/manifest.ocdbt", "state/d/", "process_0/d/"])
def test_a_missing_or_truncated_file(run, name, hurt):
    file = next(path for path in (run / "2").rglob("*") if name in str(path.relative_to(run / "2")))
    raw = file.read_bytes()
    file.unlink()
    if hurt != "missing":
        file.write_bytes(raw[: len(raw) // 2 if hurt == "truncated" else 0])
    if name == MARKER and hurt != "missing":
        assert Reader(run).restore().step == 2  # that the marker is there is all it says
    else:
        assert_passed_over(run, str(run / "2"))


def test_every_file_is_needed_or_harmless(run):
    wanted = state_of(2, mesh_of())["params"]
    for file in sorted(path for path in (run / "2").rglob("*") if path.is_file()):
        raw = file.read_bytes()
        file.unlink()
        reader = Checkpoints(run, Checkpoint())
        if str(file).endswith(HARMLESS):
            assert_same(reader.restore_part(abstract(wanted), step=2).state, wanted)
        else:
            with pytest.raises(Damaged, match=str(run / "2")):
                reader.restore_part(abstract(wanted), step=2)
        file.write_bytes(raw)


def test_a_save_that_was_never_finished(run):
    """As a kill leaves it on a bucket, where nothing is renamed; and its temporary name, as on a disk."""
    shutil.copytree(run / "2", run / "3.orbax-checkpoint-tmp")
    (run / "3.orbax-checkpoint-tmp" / MARKER).unlink()
    with Reader(run) as reader:
        assert reader.restore().step == 2
        shutil.copytree(run / "3.orbax-checkpoint-tmp", run / "3")
        assert reader.steps() == [1, 2]
        assert reader.restore().step == 2
        assert "checkpoint 3 is damaged" in reader.warnings[0]
        shutil.copytree(run / "3.orbax-checkpoint-tmp", run / "4")
        save(reader, 4, mesh_of())
        assert f"4/{MARKER} is missing" in reader.warnings[1]
    assert {path.name for path in (run.parent / "damaged_checkpoints").iterdir()} == {"3", "4"}
    assert {path.name for path in run.iterdir()} == {"2", "4"}


@pytest.mark.parametrize("hurt", [lambda raw: raw.replace(b'"metrics"', b'"metrixs"'), lambda raw: raw[:50]])
def test_an_older_damaged_record_does_not_stop_a_save(run, hurt):
    record = run / "1" / RECORD
    record.write_bytes(hurt(record.read_bytes()))
    with Reader(run) as reader:
        assert reader.restore().step == 2
        assert not reader.warnings
        save(reader, 3, mesh_of())
        assert f"checkpoint 1 is damaged: {record}" in reader.warnings[0]
    assert reader.steps() == [2, 3]


def test_the_shelf_of_damaged_checkpoints_never_overwrites(run):
    for _ in range(2):
        shutil.copytree(run / "2", run / "3")
        (run / "3" / MARKER).unlink()
        with Reader(run) as reader:
            save(reader, 3, mesh_of())
        shutil.rmtree(run / "3")
    assert {path.name for path in (run.parent / "damaged_checkpoints").iterdir()} == {"3", "3.1"}


def test_all_damaged_is_an_error_and_stays_one(run):
    for step in (1, 2):
        (run / str(step) / MARKER).unlink()
    for _ in range(2):
        with pytest.raises(
            Damaged, match=r"expected one good checkpoint, got only damaged ones .*2: .*1: .*move the folder"
        ):
            Reader(run).restore()
    assert sorted(path.name for path in run.iterdir()) == ["1", "2"]


@pytest.mark.parametrize(
    ("others", "fault", "error", "message"),
    [
        (["good"], None, None, ""),
        (["good"], Damaged("mine"), Damaged, "mine"),
        (["damaged"], None, Damaged, "another process found"),
        (["damaged"], TimeoutError("barrier"), Damaged, "another process found"),
        (["good", "machine"], None, RuntimeError, "its log says why"),
        (["good"], PermissionError("mine"), PermissionError, "mine"),
    ],
)
def test_all_processes_come_to_one_verdict(monkeypatch, others, fault, error, message):
    def gather(mine):
        return np.array([mine, *(damage.VERDICTS.index(other) for other in others)])

    monkeypatch.setattr(damage.multihost_utils, "process_allgather", gather)

    def load():
        if fault is not None:
            raise fault
        return {"state": 1}

    monkeypatch.setattr(damage, "_diagnose", lambda error, path: error)
    if error is None:
        assert damage.read(Path("x"), load) == {"state": 1}
    else:
        with pytest.raises(error, match=message):
            damage.read(Path("x"), load)


def test_a_machine_that_fails_is_not_damage(run, monkeypatch):
    def out_of_memory(*_):
        raise ValueError("incompatible handler") from MemoryError("no more")

    monkeypatch.setattr(checkpoint.ocp, "load_checkpointables", out_of_memory)
    with pytest.raises(ValueError, match="incompatible handler") as caught:
        Reader(run).restore()
    assert not isinstance(caught.value, Damaged)


def other_dtype(tree):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, "bfloat16", sharding=x.sharding), tree)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: s | {"step": s["params"]["bias"]},
            r"checkpoint 2, leaf step: expected float32\[4096\], got int32\[\]",
        ),
        (lambda s: s | {"more": s["step"]}, r"leaf more: expected int32\[\], got no such leaf"),
        (lambda s: {k: v for k, v in s.items() if k != "step"}, r"leaf step: expected no such leaf, got int32\[\]"),
        (
            lambda s: s | {"params": other_dtype(s["params"])},
            r"bias: expected bfloat16\[4096\], got float32\[4096\]; write",
        ),
        (lambda s: s | {"step": jax.ShapeDtypeStruct((), "int32")}, "leaf step: expected a sharding, got None; write"),
    ],
)
def test_a_tree_that_does_not_fit_is_the_users_mistake(run, change, message):
    reader = Reader(run)
    with pytest.raises(ValueError, match=message) as caught:
        reader.restore_newest_good(change(abstract(state_of(2, mesh_of()))))
    assert not isinstance(caught.value, Damaged)
    assert (run / "2").exists()


def test_what_failed_in_the_background_is_raised_once_and_the_step_not_durable(run, monkeypatch):
    from orbax.checkpoint._src.path import atomicity

    async def disk_full(self):
        raise OSError(28, "No space left on device")

    reader = Reader(run)
    with monkeypatch.context() as patch:
        patch.setattr(atomicity.AtomicRenameTemporaryPath, "finalize", disk_full)
        save(reader, 3, mesh_of())
        with pytest.raises(OSError, match="No space left") as caught:
            reader.wait()
        assert caught.value.__notes__ == [f"checkpoint 3 was not saved in {run}"]
        reader.wait()
        assert reader.steps() == [1, 2]
        save(reader, 3, mesh_of())
        with pytest.raises(OSError, match="No space left"):
            reader.close()
    save(reader, 3, mesh_of())
    reader.close()
    assert reader.steps() == [2, 3]
    assert reader.restore().step == 3


def test_keeps_the_last_and_the_best_over_restarts(tmp_path):
    losses = {1: 3.0, 2: 1.0, 3: 2.0, 4: float("nan"), 5: None, 6: 2.5, 7: 4.0}
    for step, loss in losses.items():
        with Checkpoints(tmp_path / "checkpoints", Checkpoint(keep_last=1, keep_best=2)) as checkpoints:
            save(checkpoints, step, mesh_of((1, 1, 1)), **({} if loss is None else {"val_loss": loss}))
            if step == 4:
                checkpoints.wait()
                assert checkpoints.steps() == [2, 3, 4]
    assert checkpoints.steps() == [2, 3, 7]


def test_the_last_good_one_outlives_a_save_that_fails(run, monkeypatch):
    from orbax.checkpoint._src.path import atomicity

    async def disk_full(self):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomicity.AtomicRenameTemporaryPath, "finalize", disk_full)
    checkpoints = Checkpoints(run, Checkpoint(keep_last=1))
    save(checkpoints, 3, mesh_of())
    with pytest.raises(OSError, match="No space"):
        checkpoints.close()
    assert checkpoints.steps() == [1, 2]


def test_which_are_kept():
    metrics = {step: {"val/loss": float(loss)} for step, loss in {10: 2, 20: 1, 30: 1, 40: 3}.items()}
    metrics |= {50: {}, 60: {"val/loss": float("nan")}}
    assert kept(metrics, Checkpoint(keep_last=2)) == {50, 60}
    assert kept(metrics, Checkpoint(keep_best=1)) == {30, 60}
    assert kept(metrics, Checkpoint(keep_best=2)) == {20, 30, 60}
    assert kept(metrics, Checkpoint(keep_best=1, best_mode="max")) == {40, 60}
    assert kept(metrics, Checkpoint(keep_best=9)) == {10, 20, 30, 40, 60}
    assert kept({}, Checkpoint(keep_best=1)) == set()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"every": -1}, "checkpoint.every: expected 0 or more, got -1"),
        ({"keep_last": 0}, "checkpoint.keep_last: expected 1 or more, got 0; write 1"),
        ({"keep_best": -2}, "checkpoint.keep_best: expected 0 or more, got -2; write 0"),
        ({"best_mode": "low"}, "checkpoint.best_mode: expected \"min\" or \"max\", got 'low'; write 'min'"),
        ({"best_metric": "test/loss"}, "checkpoint.best_metric: expected no metric of the test split"),
    ],
)
def test_a_wrong_config_says_what_to_write(wrong, message):
    with pytest.raises(ValueError, match=message):
        Checkpoint(**wrong)


KILLED = """
import os, sys
os.environ |= {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
sys.path[:0] = [sys.argv[1], sys.argv[2]]
import test_checkpoint as t
with t.Checkpoints(sys.argv[3], t.Checkpoint(keep_last=2)) as checkpoints:
    for step in range(1, 10_000):
        t.save(checkpoints, step, t.mesh_of())
        print(step, flush=True)
"""


def test_kill_9_at_random_moments_of_asynchronous_saves(tmp_path):
    """Each child is killed while it saves without pause; what it left must be whole, and go on."""
    here, rng = Path(__file__), random.Random(time.time_ns())
    folders = [tmp_path / str(child) / "checkpoints" for child in range(3)]
    command = [sys.executable, "-c", KILLED, str(here.parents[2]), str(here.parent)]
    children = [subprocess.Popen([*command, str(folder)], stdout=subprocess.PIPE, text=True) for folder in folders]
    for child, folder in zip(children, folders, strict=True):
        with child:
            begun = [child.stdout.readline() for _ in range(2)]
            assert begun == ["1\n", "2\n"]
            time.sleep(rng.uniform(0, 0.3))
            os.kill(child.pid, signal.SIGKILL)
        with Reader(folder) as reader:
            durable = reader.steps()
            restored = reader.restore()
            assert restored.step == durable[-1]
            assert not reader.warnings
            assert_same(restored.state, state_of(restored.step, mesh_of()))
            save(reader, restored.step + 1, mesh_of())
        assert not list(folder.glob("*tmp*"))
        assert reader.steps()[-1] == restored.step + 1
