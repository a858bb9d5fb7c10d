"""What the project is made of: locks that anybody can install, and files that belong to nobody's machine."""

import pathlib
import re
import subprocess
import tomllib

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.version import Version

pytestmark = pytest.mark.fast

ROOT = pathlib.Path(__file__).parents[1]
LOCKS = ("beam", "build", "clean", "dev", "plan", "run")
ENTRY = re.compile(r"(?P<need>[A-Za-z0-9][^\\#]*?)(?P<hashes>(?: \\\n +--hash=sha256:[0-9a-f]{64})+)\n")
ONE_VERSION = ("numpy", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain")
MAX_BYTES = 1_000_000
# Home folders, and where machines that run tests keep their work. In pieces: this file must not match itself.
MACHINE_PATH = re.compile(r"(?<![\w.~$}])/(?:" + "|".join(("home/[a-z]", "Users/[A-Za-z]", "root/", "work/")) + ")")


def lock(name: str) -> str:
    return (ROOT / "locks" / f"{name}.txt").read_text()


def requirements(name: str) -> list[Requirement]:
    """Each entry of a lock, its marker included."""
    return [Requirement(match["need"].strip()) for match in ENTRY.finditer(lock(name))]


def versions(name: str, *, python: str) -> dict[str, str]:
    """{distribution: version} of what a lock installs on Linux with this Python."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    wanted = [
        need for need in requirements(name) if need.marker is None or Marker(str(need.marker)).evaluate(environment)
    ]
    assert len(wanted) == len({need.name for need in wanted}), f"{name}.txt: one distribution, two versions"
    return {need.name: str(need.specifier).removeprefix("==") for need in wanted}


def tracked() -> list[pathlib.Path]:
    """The files that git knows, and those that it is about to; in an unpacked archive there is nothing to ask."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git repository")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [file for name in listed.stdout.split("\0") if name and (file := ROOT / name).is_file()]


def test_every_lock_is_listed_here():
    assert sorted(file.stem for file in (ROOT / "locks").iterdir()) == sorted(LOCKS)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_is_pinned_requirements_with_hashes_and_nothing_else(name):
    assert ENTRY.sub("", lock(name)) == ""
    assert requirements(name)
    for need in requirements(name):
        assert need.url is None, need
        [pin] = need.specifier
        assert pin.operator == "==", need
        assert "*" not in pin.version, need
        assert Version(pin.version).local is None, f"{need}: a local version is in no public index"


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_place(name):
    assert "://" not in lock(name)
    assert not re.search(r"^\s*-(?!-hash=)", lock(name), re.MULTILINE), "an option of pip, such as an index"


@pytest.mark.parametrize("python", ["3.11", "3.12"])
@pytest.mark.parametrize("name", ["build", "clean", "run", "plan"])
def test_locks_agree(name, python):
    """Whatever is installed after dev.txt or before it changes no version of it."""
    everything, part = versions("dev", python=python), versions(name, python=python)
    both = part.keys() & everything.keys()
    assert {key: part[key] for key in both} == {key: everything[key] for key in both}
    if name != "plan":
        assert part.keys() <= everything.keys()


@pytest.mark.parametrize("python", ["3.11", "3.12"])
def test_beam_differs_where_it_must_and_trains_nothing(python):
    """Datasets are the same byte by byte if what reads and writes them is the same."""
    everything, part = versions("dev", python=python), versions("beam", python=python)
    both = part.keys() & everything.keys()
    refused = {"beartype", "pillow", "protobuf", "pyarrow", "python-dateutil"}
    assert {key for key in both if part[key] != everything[key]} == refused
    assert {"apache-beam", "ftfy", "array-record"} <= part.keys()
    assert not {"jax", "flax"} & part.keys()


@pytest.mark.parametrize("name", ["clean", "dev", "plan", "run"])
def test_one_version_for_every_python(name):
    old, new = versions(name, python="3.11"), versions(name, python="3.12")
    assert {key: old[key] for key in ONE_VERSION} == {key: new[key] for key in ONE_VERSION}


def test_the_locks_hold_what_pyproject_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {
        "run": project["dependencies"],
        "plan": [*project["dependencies"], *project["optional-dependencies"]["plan"]],
        "dev": [*project["dependencies"], *project["optional-dependencies"]["dev"]],
    }
    for name, lines in wanted.items():
        pinned = {key.lower(): version for key, version in versions(name, python="3.11").items()}
        for need in map(Requirement, lines):
            assert need.specifier.contains(pinned[need.name.lower()]), f"{name}.txt: {need}; write `make lock`"


def test_it_is_never_uploaded():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "Private :: Do Not Upload" in project["project"]["classifiers"]
    assert project["tool"]["setuptools"]["packages"]["find"]["include"] == ["train*", "models*", "input_pipeline*"]


def test_files_are_small():
    large = {file.name: size for file in tracked() if (size := file.stat().st_size) > MAX_BYTES}
    assert not large


def test_files_name_no_machine():
    for file in tracked():
        text = file.read_bytes().decode("utf-8", "replace")
        found = MACHINE_PATH.search(text)
        assert not found, f"{file.relative_to(ROOT)}: {text[found.start() : found.start() + 60]!r}"


@pytest.mark.parametrize(
    ("text", "is_machine"),
    [
        ("open('/ho" + "me/ann/x')", True),
        ("/Us" + "ers/ann", True),
        ("cd /ro" + "ot/x", True),
        ("file:///ro" + "ot/x", True),
        ("$XDG/ro" + "ot/x", False),
        ("runs/wo" + "rk/a", False),
        ("~/wo" + "rk/a", False),
        ("/etc/hosts", False),
    ],
)
def test_what_a_machine_path_is(text, is_machine):
    assert bool(MACHINE_PATH.search(text)) == is_machine


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/design.md", ".ci/run"])
def test_documents_name_targets_that_exist(name):
    """`make X` in code: in backquotes, or at the start of a line."""
    named = re.findall(r"(?:`|^\s*)make ([a-z][a-z-]*)", (ROOT / name).read_text(), re.MULTILINE)
    rules = re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert named
    assert set(named) <= set(rules), f"{name} names {sorted(set(named) - set(rules))}"


def test_the_design_draws_the_floors_that_are_tested():
    import test_architecture

    drawn = re.findall(r"^(\d)  (.+)$", (ROOT / "docs" / "design.md").read_text(), re.MULTILINE)
    floors = {module: int(number) for number, modules in drawn for module in modules.split()}
    assert floors == test_architecture.FLOORS
