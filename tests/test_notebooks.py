"""Every notebook runs from its first cell to its last, and what it shows is what its text says."""

import pathlib
import re
import subprocess
import sys
import warnings

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of jupyter_core and zmq, when they are imported
    import nbformat
    from nbclient import NotebookClient

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
JAX_TOUCHED = re.compile(r"pip3? install[^\n]*\bjax(lib)?\b|\bjax(lib)?(\[\w+\])?\s*[=<>~!]=|import jax\b")
# A checkout's outline for the set-up cell: the wants of the real one, and nothing else.
OUTLINE = '[project]\ndependencies = ["jax>=0.10.2,<0.11", "flax>=0.12.8", "meshwright-wants-this>=2", "etils"]\n'


def read(path: pathlib.Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code(path: pathlib.Path) -> dict[str, str]:
    """The code cells by their id."""
    return {cell.id: cell.source for cell in read(path).cells if cell.cell_type == "code"}


@pytest.mark.fast
def test_there_are_notebooks():
    assert [path.name for path in NOTEBOOKS] == ["tour.ipynb"]


@pytest.mark.fast
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_stores_no_outputs(path):
    for cell in read(path).cells:
        assert not cell.get("outputs"), f"cell {cell.id}"
        assert cell.get("execution_count") is None, f"cell {cell.id}"


@pytest.mark.fast
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_cell_pins_installs_or_starts_jax(path):
    for name, source in code(path).items():
        assert not JAX_TOUCHED.search(source), f"cell {name}"


def set_up(folder: pathlib.Path, *, repository: str = "", jax: str = "0.10.2") -> subprocess.CompletedProcess:
    """The tour's first cell in this folder, where pip is only told of, and JAX is of this version."""
    source = code(ROOT / "notebooks" / "tour.ipynb")["setup"]
    source = source.replace('REPOSITORY = ""', f"REPOSITORY = {repository!r}")
    before = (
        "import subprocess\nfrom importlib import metadata\n"
        "real_run, real_version = subprocess.run, metadata.version\n"
        "subprocess.run = lambda line, **k: print('RAN', *line) if 'pip' in line else real_run(line, **k)\n"
        f"metadata.version = lambda name: {jax!r} if name == 'jax' else real_version(name)\n"
    )
    script = f"{before}\n{source}\nprint('CWD', os.getcwd() == str(root) == sys.path[0])\n"
    return subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def checkout(tmp_path) -> pathlib.Path:
    """A git repository that looks like ours to the set-up cell."""
    folder = tmp_path / "origin"
    (folder / "train").mkdir(parents=True)
    (folder / "train" / "__init__.py").touch()
    (folder / "pyproject.toml").write_text(OUTLINE)
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=outline"]):
        subprocess.run([*git, *arguments], check=True)
    return folder


@pytest.mark.fast
def test_set_up_clones_where_there_is_no_checkout_and_installs_what_is_missing(checkout, tmp_path):
    elsewhere = tmp_path / "content"
    elsewhere.mkdir()
    done = set_up(elsewhere, repository=f"file://{checkout}")
    assert done.returncode == 0, done.stderr
    assert (elsewhere / "meshwright" / "train" / "__init__.py").is_file()
    [installed] = [line for line in done.stdout.splitlines() if line.startswith("RAN")]
    assert installed.endswith("-m pip install --quiet meshwright-wants-this>=2")
    assert "CWD True" in done.stdout
    again = set_up(elsewhere)  # as when the kernel was restarted: the clone is found
    assert again.returncode == 0, again.stderr


@pytest.mark.fast
@pytest.mark.parametrize("below", ["", "train"])
def test_set_up_uses_the_checkout_that_it_stands_in(checkout, below):
    done = set_up(checkout / below)
    assert done.returncode == 0, done.stderr
    assert f"code: {checkout}\n" in done.stdout


@pytest.mark.fast
def test_set_up_asks_for_an_address_and_leaves_an_old_jax_alone(checkout, tmp_path):
    nowhere = set_up(tmp_path)
    assert nowhere.returncode
    assert "REPOSITORY: expected the address" in nowhere.stderr
    old = set_up(checkout, jax="0.7.2")
    assert old.returncode
    assert "expected a runtime with jax<0.11,>=0.10.2" in old.stderr
    assert "RAN" not in old.stdout


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """What each cell of the tour showed, by its id: its text, and the kinds of its outputs."""
    base = tmp_path_factory.mktemp("tour")
    notebook = read(ROOT / "notebooks" / "tour.ipynb")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of jupyter_client's event loop
        patch.setenv("MESHWRIGHT_RUNS", str(base / "runs"))
        patch.setenv("XDG_CACHE_HOME", str(base / "cache"))
        for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
            patch.setenv(name, str(base / name))  # nothing of the user's is read or written
        patch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
        # One device, compiled in little time; what one session compiles the next ones take from the cache.
        patch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=1 --xla_llvm_disable_expensive_passes=true")
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
        NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(ROOT / "notebooks")}}).execute()
    shown = {}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            text = "".join(output.get("text", "") for output in cell.outputs)
            kinds = {kind for output in cell.outputs for kind in output.get("data", {})}
            shown[cell.id] = text, kinds
    return shown, base / "runs"


def test_the_tour_uses_this_checkout_and_shows_its_config(outputs):
    shown, runs = outputs
    assert f"code: {ROOT}\nruns: {runs}\ninstalled: nothing" in shown["setup"][0]
    assert "num_layers: 4" in shown["config"][0]


def test_the_tour_trains_stops_and_goes_on(outputs):
    shown, runs = outputs
    first, second = shown["train"][0], shown["resume"][0]
    stop = re.search(r"SIGTERM: saved step (\d+) of 40; run the same line again to go on\nexit code 75\n", first)
    assert stop, first
    assert 10 <= int(stop[1]) < 40
    assert f"going on from step {stop[1]} of 40" in second
    assert "step 40/40" in second
    assert second.endswith("exit code 0\n")
    assert (runs / "tour" / "checkpoints" / "40").is_dir()


def test_the_tour_shows_a_picture_and_a_text(outputs):
    shown, _ = outputs
    assert "image/png" in shown["curve"][1]
    assert shown["sample"][0].startswith("The ")
    assert len(shown["sample"][0]) > 60
    assert shown["sample"][0].endswith("exit code 0\n")


def test_the_tour_compares_two_rates(outputs):
    shown, _ = outputs
    losses = re.fullmatch(r"tour: validation loss (\S+)\nslow: validation loss (\S+)\n", shown["compare"][0])
    assert losses, shown["compare"]
    assert float(losses[1]) < float(losses[2]) - 0.5
