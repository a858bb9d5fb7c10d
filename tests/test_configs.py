"""Every shipped config: it reads, its `tiny` fits every mesh and needs nothing from outside, and its step compiles."""

import dataclasses
import json
import pathlib
import re

import jax
import pytest

from configs import clean_text, lm_families
from input_pipeline.clean.spec import Clean
from models import count
from models.transformer_config import TransformerConfig
from scripts import ablate_data, clean_data
from train import config_flags, durations, experiment, session, spec
from train.parallel.mesh import MeshShape

FOLDER = pathlib.Path(__file__).parents[1] / "configs"
FAMILIES = [f"lm_families.py:{name}" for name in lm_families.FAMILIES]
CLEANINGS = sorted(FOLDER.glob("clean_*.py"))
ABLATIONS = sorted(FOLDER.glob("ablate_*.py"))
CONFIGS = sorted(set(FOLDER.glob("*.py")) - {FOLDER / "common.py", *CLEANINGS, *ABLATIONS})
MESHES = [(8, 1, 1), (1, 8, 1), (1, 1, 8), (2, 2, 2)]


def read(path: str) -> spec.Run:
    return spec.read(spec.complete(config_flags.load(path)))


@pytest.mark.fast
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_reads_and_says_how_it_is_run(path):
    run = read(str(path))
    assert durations.all_given(run.train)
    assert not getattr(run.data, "unread", ()), "fields that its source does not read"
    assert re.search(rf"python -m train --config=configs/{path.name}\S* --workdir=", path.read_text().split('"""')[1])
    with pytest.raises(ValueError, match=f"{path.name}: expected the argument 'tiny' or .*none, got 'huge'"):
        read(f"{path}:huge")


@pytest.mark.fast
@pytest.mark.parametrize("name", [f"{path.name}:tiny" for path in CONFIGS] + [f"{name},tiny" for name in FAMILIES])
def test_tiny_fits_every_mesh_of_eight(name):
    run = read(f"{FOLDER / name}")
    assert run.train.batch_size == 16
    assert not getattr(run.data, "unread", ()), "fields that its source does not read"
    assert all(part.source == "synthetic" or is_made(part.clean) for part in run.data.parts.values())
    if isinstance(run.model, TransformerConfig):
        assert 4 <= run.model.num_layers <= 6
        assert (run.model.num_kv_heads, run.model.max_length, run.model.dropout) == (8, 64, 0.0)
    assert run.mesh.resolve(8).num_batch_shards == 8
    for data, fsdp, tensor in MESHES:
        placed = dataclasses.replace(run, mesh=MeshShape(data=data, fsdp=fsdp, tensor=tensor))
        assert experiment.engine(placed, jax.devices()).abstract_state


def is_made(clean: Clean | None) -> bool:
    """Whether what is cleaned needs nothing from outside."""
    return clean is not None and all(file.startswith("synthetic:") for file in clean.files)


@pytest.mark.fast
@pytest.mark.parametrize("name", clean_text.STEPS)
def test_published_pipelines_read(name):
    found, _ = config_flags.read(Clean, [f"--config={FOLDER}/clean_text.py:{name}"])
    assert len(found.operations) >= 5
    assert found.steps == clean_text.STEPS[name]


@pytest.mark.fast
@pytest.mark.parametrize("path", CLEANINGS, ids=lambda path: path.stem)
def test_a_tiny_cleaning_runs_on_what_is_installed(path, tmp_path):
    assert f"python scripts/clean_data.py --config=configs/{path.name} --input=" in path.read_text().split('"""')[1]
    options = ["--workers=0", f"--output={tmp_path}/out", f"--config.cache={tmp_path}/cache"]
    assert clean_data.main([f"--config={path}:tiny", *options]) == 0
    manifest = json.loads((tmp_path / "out/manifest.json").read_bytes())
    assert manifest["splits"]["train"]["records"] > 0
    with pytest.raises(ValueError, match=f"{path.name}: expected the argument 'tiny' or .*none, got 'huge'"):
        config_flags.load(f"{path}:huge")


@pytest.mark.fast
@pytest.mark.parametrize("path", ABLATIONS, ids=lambda path: path.stem)
@pytest.mark.parametrize("arg", ["", ":tiny", ":planted"])
def test_an_ablations_variants_are_runs(path, arg):
    """The tiny one runs in tests/scripts/test_ablate_data.py."""
    assert f"python scripts/ablate_data.py --config=configs/{path.name} --workdir=" in path.read_text().split('"""')[1]
    found = ablate_data.read(f"{path}{arg}")
    for overrides in found.variants.values():
        config = config_flags.override(spec.complete(found.run), [f"--config.{each}" for each in overrides])
        run = spec.read(config)
        assert set(found.judges) <= set(run.eval)


# What tells a family apart, whatever its size.
STRUCTURE = (
    *("norm", "positions", "activation", "use_bias", "tie_embeddings", "scale_embeddings", "post_norms", "qk_norm"),
    *("rope_theta", "local_rope_theta", "rope_scaling", "query_scale", "attention_soft_cap", "logit_soft_cap"),
)


@pytest.mark.fast
@pytest.mark.parametrize("name", FAMILIES)
def test_tiny_keeps_a_familys_structure(name):
    whole, tiny = (read(f"{FOLDER / argument}").model for argument in (name, f"{name},tiny"))
    assert [getattr(tiny, field) for field in STRUCTURE] == [getattr(whole, field) for field in STRUCTURE]
    assert (tiny.num_heads > tiny.num_kv_heads) == (whole.num_heads > whole.num_kv_heads)
    assert (tiny.head_size * tiny.num_heads == tiny.model_size) == (name in SQUARE)
    assert [bool(window) for window in tiny.layer_windows] == [
        bool(window) for window in whole.layer_windows[: tiny.num_layers]
    ]
    assert max(tiny.windows) < tiny.max_length


SQUARE = [f"lm_families.py:{name}" for name in ("gpt2", "llama3_1b", "mistral_7b")]  # heads as wide as the model


@pytest.mark.fast
@pytest.mark.parametrize(
    ("name", "num_params"),
    {
        "llama3_8b.py": 8_030_261_248,
        "lm_families.py:llama3_1b": 1_235_814_400,
        "lm_families.py:mistral_7b": 7_241_732_096,
        "lm_families.py:qwen3_0_6b": 596_049_920,
        "lm_families.py:qwen3_8b": 8_190_735_360,
        "lm_families.py:gemma2_2b": 2_614_341_888,
        "lm_families.py:gemma2_27b": 27_227_128_320,
        "lm_families.py:gemma3_1b": 999_885_952,
    }.items(),
)
def test_published_sizes(name, num_params):
    """As their publishers count them; Hugging Face's models of these shapes have as many (test_hugging_face.py)."""
    assert count.num_params(read(f"{FOLDER / name}").model) == num_params


@pytest.mark.parametrize("path", [path for path in CONFIGS if path.stem != "lm_tiny"], ids=lambda path: path.stem)
def test_tiny_runs_to_its_end(path, tmp_path, capsys):
    """`lm_tiny` runs in test_end_to_end.py."""
    assert session.main([f"--config={path}:tiny", f"--workdir={tmp_path}", "--config.train.num_steps=10"]) == 0
    assert "step 10/10" in capsys.readouterr().out
