"""Every shipped config: it reads, its `tiny` fits every mesh and needs nothing from outside, and its step compiles."""

import dataclasses
import pathlib

import jax
import pytest

from train import config_flags, experiment, session, spec
from train.parallel.mesh import MeshShape

CONFIGS = sorted(path for path in (pathlib.Path(__file__).parents[1] / "configs").glob("*.py") if path.stem != "common")
MESHES = [(8, 1, 1), (1, 8, 1), (1, 1, 8), (2, 2, 2)]


def read(path: str) -> spec.Run:
    return spec.read(spec.complete(config_flags.load(path)))


@pytest.mark.fast
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_reads_and_says_how_it_is_run(path):
    assert read(str(path)).train.num_steps > 0
    assert f"python -m train --config=configs/{path.name} --workdir=" in path.read_text().split('"""')[1]
    with pytest.raises(ValueError, match=f"{path.name}: expected the argument 'tiny' or none, got 'huge'"):
        read(f"{path}:huge")


@pytest.mark.fast
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_tiny_fits_every_mesh_of_eight(path):
    run = read(f"{path}:tiny")
    assert (run.model.num_layers, run.model.num_heads, run.model.num_kv_heads) == (4, 8, 8)
    assert (run.train.batch_size, run.model.dropout, run.data.source) == (16, 0.0, "synthetic")
    assert run.mesh.resolve(8) == MeshShape(data=8)
    for data, fsdp, tensor in MESHES:
        placed = dataclasses.replace(run, mesh=MeshShape(data=data, fsdp=fsdp, tensor=tensor))
        assert experiment.engine(placed, jax.devices()).abstract_state


@pytest.mark.parametrize("path", [path for path in CONFIGS if path.stem != "lm_tiny"], ids=lambda path: path.stem)
def test_tiny_runs_to_its_end(path, tmp_path, capsys):
    """`lm_tiny` runs in test_end_to_end.py."""
    assert session.main([f"--config={path}:tiny", f"--workdir={tmp_path}", "--config.train.num_steps=10"]) == 0
    assert "step 10/10" in capsys.readouterr().out
