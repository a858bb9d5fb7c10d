"""Every test runs on eight virtual CPU devices, with rank promotion an error and one shared compilation cache.

Each call of a function of ours is checked against the shapes in its signature (`shapes.py`): a letter that stands twice
has one size.
"""

import os
import pathlib

os.environ["JAX_PLATFORMS"] = "cpu"
# Little optimisation: these programs run for moments, and compiling them is most of a test's time.
os.environ["XLA_FLAGS"] = " ".join(
    [
        "--xla_force_host_platform_device_count=8",
        "--xla_backend_optimization_level=0",
        "--xla_llvm_disable_expensive_passes=true",
        "--xla_cpu_enable_concurrency_optimized_scheduler=false",  # else many collectives at a time lock each other out
    ]
)
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR",
    str(pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "meshwright" / "compiled"),
)

import jax
import jaxtyping
import pytest

jaxtyping.install_import_hook(("models", "train"), "shapes.checked")  # before anything of ours is imported

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


@pytest.fixture(autouse=True)
def cache_home(tmp_path_factory, monkeypatch):
    """Data caches of a test session live in its own folder, never in the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
