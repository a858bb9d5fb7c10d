"""The house's floors: a module imports strictly lower floors, or its own place."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
ROOMS = ("train", "models", "input_pipeline")

# Module prefix -> floor; the longest prefix counts. docs/design.md draws it.
FLOORS = {
    "scripts": 8,
    "train.__main__": 8,
    "train.session": 7,
    "train.plan": 6,
    "train.inference": 6,
    "train.overview": 6,
    "train.preview": 6,
    "train.history": 5,
    "train.experiment": 5,
    "train.feeds": 5,
    "train.command_line": 5,
    "train.loop": 4,
    "train.spec": 4,
    "train.evaluate": 3,
    "train.initialize": 3,
    "train.profile": 3,
    "train.step": 3,
    "train.writer": 3,
    "train.findings": 2,
    "train.objectives": 2,
    "train.optimizer": 2,
    "train.config_flags": 2,
    "train.provenance": 2,
    "train.sections": 2,
    "train.state": 2,
    "train.clock": 2,
    "train.guard": 2,
    "train.checkpoint": 2,
    "train": 1,
    "train.console": 0,
    "train.durations": 0,
    "models": 0,
    "input_pipeline": 0,
}
# Order within one floor.
STEPS = {"train.evaluate": ("train.step",), "train.experiment": ("train.feeds",)}
# Folders whose files may import one another.
PLACES = (
    "models",
    "input_pipeline",
    "train.feeds",
    "train.findings",
    "train.metrics",
    "train.objectives",
    "train.optimizer",
    "train.parallel",
    "train.reports",
)
HEAVY = (
    *("jax", "flax", "optax", "orbax", "grain", "tokenizers", "matplotlib", "tensorboardX", "tensorflow"),
    *("pyarrow", "tensorflow_datasets", "array_record", "fsspec"),
)


def modules() -> dict[str, pathlib.Path]:
    files = [file for room in (*ROOMS, "scripts", "configs") for file in (ROOT / room).rglob("*.py")]
    assert len(files) > 40
    names = {}
    for file in files:
        parts = file.relative_to(ROOT).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return names


MODULES = modules()


def imports(file: pathlib.Path) -> set[str]:
    """Every module that a file imports, at its top or inside a function, each as its longest name that is a module."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports stand with their whole name"
            assert node.module
            found |= {
                name if (name := f"{node.module}.{alias.name}") in MODULES else node.module for alias in node.names
            }
    return found


def floor(module: str) -> int:
    return FLOORS[max((prefix for prefix in FLOORS if f"{module}.".startswith(f"{prefix}.")), key=len)]


def place(module: str) -> str:
    """What may import itself freely: a room's folder, or the file."""
    for folder in PLACES:
        if f"{module}.".startswith(f"{folder}."):
            return folder
    return module


@pytest.mark.fast
@pytest.mark.parametrize("module", [name for name in MODULES if not name.startswith("configs")])
def test_a_module_imports_lower_floors_alone(module):
    for target in imports(MODULES[module]):
        if target.split(".")[0] not in (*ROOMS, "scripts", "configs") or target == module:
            continue
        allowed = floor(target) < floor(module) or place(target) == place(module) or target in STEPS.get(module, ())
        assert allowed, f"{module} (floor {floor(module)}) imports {target} (floor {floor(target)})"


@pytest.mark.fast
def test_rooms_that_know_nothing_of_others():
    for module, file in MODULES.items():
        room, targets = module.split(".")[0], imports(file)
        if room == "configs":
            assert {t for t in targets if t.split(".")[0] in (*ROOMS, "scripts", "configs")} <= {"configs.common"}
        if module.startswith("train.reports"):
            assert not {t for t in targets if t.split(".")[0] in ROOMS and not t.startswith("train.reports")}
        if room == "models":
            assert not {t for t in targets if t.split(".")[0] in ("train", "input_pipeline")}
        if room == "input_pipeline":
            assert not {t for t in targets if t.split(".")[0] in ("train", "models", "jax", "flax")}


@pytest.mark.fast
def test_models_know_no_mesh_and_config_dict_ends_at_the_spec():
    for module, file in MODULES.items():
        text = file.read_text()
        if module.startswith("models"):
            assert "jax.sharding" not in text
            assert "PartitionSpec" not in text
        if module.split(".")[0] in ROOMS and module != "train.config_flags":
            assert "ml_collections" not in text, f"{module}: a ConfigDict below train/config_flags.py"


@pytest.mark.fast
def test_nothing_reads_devices_clock_or_flags_at_import():
    script = (
        "import sys, importlib, jax\n"
        "def refuse(*_, **__): raise SystemExit('devices were read at import')\n"
        "jax.devices = jax.local_devices = jax.device_count = jax.process_index = refuse\n"
        f"for name in {sorted(name for name in MODULES if name.split('.')[0] in ROOMS)!r}:\n"
        "    if name != 'train.__main__': importlib.import_module(name)\n"
        "from jax._src import xla_bridge\n"
        "assert not xla_bridge._backends, 'a backend was started at import'\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.fast
def test_the_data_room_is_light_to_import():
    names = sorted(name for name in MODULES if name.startswith("input_pipeline"))
    script = (
        f"import sys, importlib\nfor name in {names!r}: importlib.import_module(name)\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\nassert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.fast
def test_rooms_resolve_to_this_checkout():
    script = f"import {', '.join(ROOMS)}\nfor room in ({', '.join(ROOMS)}): print(room.__file__)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [pathlib.Path(line) for line in done.stdout.split()] == [ROOT / room / "__init__.py" for room in ROOMS]


@pytest.mark.fast
def test_tests_are_no_package_and_lines_stay_in_their_files():
    assert not list((ROOT / "tests").rglob("__init__.py"))
    for module, file in MODULES.items():
        num_lines = len(file.read_text().splitlines())
        assert num_lines <= 310 or "long because" in file.read_text()[:600], f"{module}: {num_lines} lines"
