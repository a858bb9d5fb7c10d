"""scripts/tpu/train.sh against a fake gcloud, whose ssh runs what it is given in two folders that play the workers."""

import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "tpu" / "train.sh"
TOOLS = """
    bash cat chmod dirname env flock git grep hostname ls mkdir mv nohup rm sed setsid sh sleep tail tee wc
""".split()  # noqa: SIM905
TRAINING = ["--config=configs/lm_tiny.py", "--workdir=gs://bucket/runs/a"]
PLACE = ["--name=my-tpu", "--zone=us-east5-b"]

GCLOUD = r"""#!/usr/bin/env bash
# Records its arguments, one file a call, each ended by a NUL.
printf '%s\0' "$@" >"$FAKE/calls/$(printf %04d "$(ls "$FAKE/calls" | wc -l)")"
case "$*" in
  *"queued-resources describe"*)
    head=$(sed -n 1p "$FAKE/states"); sed -i 1d "$FAKE/states"
    [[ $head ]] && echo "$head" || { echo "NOT_FOUND" >&2; exit 1; } ;;
  *"tpu-vm ssh"*)
    for argument; do [[ $argument != --command=* ]] || command=${argument#--command=}; done
    for worker in 0 1; do HOME=$FAKE/worker$worker "$LOGIN_SHELL" -c "$command" & workers+=($!); done
    for worker in "${workers[@]}"; do wait "$worker" || code=$?; done
    exit "${code:-0}" ;;
esac
"""
MAKE = r"""#!/usr/bin/env bash
# Makes a .venv whose python records its arguments, waits while it is told to, and ends with the code it is told.
printf '%s\0' "$@" >"$HOME/make"
mkdir -p .venv/bin
cat >.venv/bin/python <<'EOF'
#!/usr/bin/env bash
printf '%s\0' "$@" >"$HOME/argv.$(ls "$HOME" | grep -c argv)"
echo "training in $PWD"; echo "a warning" >&2
while [[ -e $FAKE/wait ]]; do sleep 0.05; done
echo "trained"
exit "$(cat "$FAKE/code")"
EOF
mv .venv/bin/python .venv/bin/python.new; mv .venv/bin/python.new .venv/bin/python
chmod +x .venv/bin/python
"""
PIP_INSTALL_UV = r"""#!/usr/bin/env bash
[[ $* == "-m pip install --quiet --user uv" ]] || exit 1
mkdir -p ~/.local/bin
cat >~/.local/bin/uv <<'EOF'
#!/usr/bin/env bash
case "$*" in "python install --quiet 3.12") ;; "python find 3.12") echo /uv/python3.12 ;; *) exit 1 ;; esac
EOF
chmod +x ~/.local/bin/uv
"""


class Cloud:
    """A project with one TPU of two workers, and nothing else on PATH than what the script may use."""

    login_shell = "bash"

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.bin, self.tools = folder / "bin", folder / "tools"
        for name in ("bin", "tools", "calls", "worker0", "worker1"):
            (folder / name).mkdir()
        for tool in TOOLS:
            self.link(tool)
        self.install("gcloud", GCLOUD)
        self.install("make", MAKE)
        self.install("python3.12", "")
        self.says("code", "0")
        self.says("states", "")
        self.origin = folder / "origin"
        self.git("init", "--quiet", "--initial-branch=main", self.origin)
        self.commit("first")

    def link(self, tool):
        """Lets the machine's own tool be found. Links are kept apart: to write to one is to write to the tool."""
        (self.tools / tool).symlink_to(shutil.which(tool) or pytest.skip(f"no {tool} here"))

    def install(self, name, text):
        """A fake, found before any tool of its name."""
        path = self.bin / name
        assert not path.is_symlink(), f"{path} is a link to {path.resolve()}"
        path.write_text(text)
        path.chmod(0o755)

    def says(self, name, text):
        (self.folder / name).write_text(text)

    def git(self, *arguments):
        done = subprocess.run(["git", *arguments], env=self.env, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, message):
        self.git("-C", self.origin, "commit", "--quiet", "--allow-empty", f"--message={message}")
        return self.git("-C", self.origin, "rev-parse", "HEAD")

    @property
    def env(self):
        who = {f"GIT_{role}_{what}": "a@b" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        config = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        return {
            "PATH": f"{self.bin}:{self.tools}",
            "FAKE": str(self.folder),
            "HOME": str(self.folder),
            "LOGIN_SHELL": self.login_shell,
            **who,
            **config,
        }

    def line(self, *options, training=TRAINING):
        return [str(self.tools / "bash"), str(SCRIPT), *PLACE, f"--repo={self.origin}", *options, "--", *training]

    def run(self, *options, training=TRAINING):
        return self.execute(self.line(*options, training=training))

    def execute(self, command):
        return subprocess.run(
            command, env=self.env, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
        )

    def start(self, *options):
        return subprocess.Popen(
            self.line(*options),
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def calls(self):
        return [argv(path) for path in sorted((self.folder / "calls").iterdir())]

    def verbs(self):
        """`describe`, `create`, `ssh`, `delete`: the calls of gcloud in their order."""
        return [call[3] for call in self.calls()]

    def trained(self, worker):
        """The arguments of each start of python on a worker."""
        return [argv(path) for path in sorted((self.folder / f"worker{worker}").glob("argv.*"))]


def argv(path):
    return path.read_bytes().decode().split("\0")[:-1]


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited for 30 s"
        time.sleep(0.02)


@pytest.fixture
def cloud(tmp_path):
    cloud = Cloud(tmp_path)
    yield cloud
    (tmp_path / "wait").unlink(missing_ok=True)  # whatever still trains may end


# training


NASTY = [
    "--config=configs/lm_tiny.py:a b",
    '--workdir=gs://b/it\'s "here"',
    "--config.x=(1, 'two', \"three\")",
    "--config.y=$HOME `id` $(id) \\ \\n \\' ! # ~ * ? [a] {b,c} <>|&;",
    "--config.z=line one\nline two\n",
    "--config.umlaut=äöü→",
    "",
    " ",
    "'",
    "-n",
    "--",
    "%s",
    "a\tb",
]


@pytest.mark.parametrize("login_shell", ["bash", "dash"])
def test_arguments_arrive_exactly_on_every_worker(cloud, login_shell):
    if login_shell == "dash":
        cloud.link("dash")
    cloud.login_shell = login_shell
    done = cloud.run(training=NASTY)
    assert done.returncode == 0, done.stderr
    for worker in (0, 1):
        assert cloud.trained(worker) == [["-m", "train", *NASTY]]


def test_the_workers_get_one_commit_and_an_environment(cloud):
    head = cloud.commit("second")
    done = cloud.run()
    assert done.returncode == 0, done.stderr
    assert cloud.verbs() == ["ssh", "ssh"]
    for call in cloud.calls():
        assert call[:6] == ["compute", "tpus", "tpu-vm", "ssh", "my-tpu", "--zone=us-east5-b"]
        assert call[6] == "--worker=all"
    for worker in (0, 1):
        home = cloud.folder / f"worker{worker}"
        assert cloud.git("-C", home / "meshwright", "rev-parse", "HEAD") == head
        assert argv(home / "make") == ["setup-plan", f"PYTHON={cloud.bin / 'python3.12'}"]
        assert "training in " + str(home / "meshwright") in (home / "meshwright.log").read_text()


def test_what_training_prints_is_shown_and_logged(cloud):
    done = cloud.run()
    for worker in (0, 1):
        log = (cloud.folder / f"worker{worker}" / "meshwright.log").read_text()
        assert log.splitlines()[0] == "python -m train --config=configs/lm_tiny.py --workdir=gs://bucket/runs/a"
        assert log.splitlines()[-3:] == [
            f"training in {cloud.folder}/worker{worker}/meshwright",
            "a warning",
            "trained",
        ]
        assert done.stdout.count(f"training in {cloud.folder}/worker{worker}/meshwright") == 1
    assert done.stdout.count("trained") == 2


def test_the_exit_code_is_training_s(cloud):
    cloud.says("code", "75")
    done = cloud.run()
    assert done.returncode == 75
    assert done.stderr.endswith(
        "train.sh: train ended with exit code 75, or the connection did; the same line again goes on\n"
    )


def test_the_same_line_again_starts_again_with_newer_code_and_shows_only_what_is_new(cloud):
    cloud.says("code", "1")
    cloud.run()
    cloud.says("code", "0")
    newer = cloud.commit("a fix")
    done = cloud.run()
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("trained") == 2
    for worker in (0, 1):
        home = cloud.folder / f"worker{worker}"
        assert len(cloud.trained(worker)) == 2
        assert (home / "meshwright.log").read_text().count("trained") == 2
        assert cloud.git("-C", home / "meshwright", "rev-parse", "HEAD") == newer


def test_training_survives_the_connection_and_the_same_line_follows_it(cloud):
    cloud.says("wait", "")
    with cloud.start() as first:
        wait_for(lambda: all(cloud.trained(worker) for worker in (0, 1)))
        os.killpg(first.pid, signal.SIGKILL)  # our own session: the script, gcloud and its ssh
    assert all("trained" not in (cloud.folder / f"worker{w}" / "meshwright.log").read_text() for w in (0, 1))
    newer = cloud.commit("code that a run in progress must not see")
    with cloud.start() as second:
        shown = ""
        while shown.count("training in ") < 2 and (line := second.stdout.readline()):
            shown += line
        (cloud.folder / "wait").unlink()
        shown += second.stdout.read()
    assert second.returncode == 0, shown
    assert all(
        cloud.git("-C", cloud.folder / f"worker{w}" / "meshwright", "rev-parse", "HEAD") != newer for w in (0, 1)
    )
    assert shown.count("trained") == 2
    assert [len(cloud.trained(worker)) for worker in (0, 1)] == [1, 1]


def test_a_tpu_that_trains_something_else_is_left_alone(cloud):
    cloud.says("wait", "")
    with cloud.start() as first:
        wait_for(lambda: all(cloud.trained(worker) for worker in (0, 1)))
        other = cloud.run(training=[*TRAINING, "--config.seed=1"])
        (cloud.folder / "wait").unlink()
        first.communicate()
    assert first.returncode == 0
    assert other.returncode == 3
    assert "is busy with another run: python -m train --config=configs/lm_tiny.py" in other.stderr
    assert [len(cloud.trained(worker)) for worker in (0, 1)] == [1, 1]


def test_training_that_was_killed_is_not_called_trained(cloud):
    cloud.says("wait", "")
    with cloud.start() as first:
        wait_for(lambda: all(cloud.trained(worker) for worker in (0, 1)))
        for worker in (0, 1):
            folder = cloud.folder / f"worker{worker}"
            holders = [
                int(process.name)
                for process in pathlib.Path("/proc").iterdir()
                if process.name.isdigit() and holds(process, folder / "meshwright.lock")
            ]
            assert len(holders) >= 2, "the shell that keeps the exit code, and python"
            for pid in holders:
                os.kill(pid, signal.SIGKILL)
        output = first.communicate()[0]
    assert first.returncode == 1, output


def holds(process, lock):
    """Whether a process has inherited the lock, open as fd 9: only what this test started can."""
    try:
        return (process / "fd" / "9").readlink() == lock
    except OSError:
        return False


def test_a_failed_setup_on_one_worker_starts_training_on_none(cloud):
    cloud.install("make", MAKE + "\n[[ $HOME != */worker1 ]]")
    done = cloud.run()
    assert done.returncode == 1
    assert "prepare ended with exit code 1" in done.stderr
    assert cloud.trained(0) == cloud.trained(1) == []


def test_an_image_with_an_old_python_gets_a_new_one(cloud):
    (cloud.bin / "python3.12").unlink()
    cloud.install("python3", PIP_INSTALL_UV)
    assert cloud.run().returncode == 0
    assert argv(cloud.folder / "worker0" / "make") == ["setup-plan", "PYTHON=/uv/python3.12"]


@pytest.mark.parametrize("kind", ["branch", "tag", "hash"])
def test_the_code_by_branch_tag_or_hash(cloud, kind):
    wanted = cloud.git("-C", cloud.origin, "rev-parse", "HEAD")
    cloud.git("-C", cloud.origin, "branch", "x/main")
    cloud.git("-C", cloud.origin, "tag", "v1")
    cloud.commit("later, on main")
    done = cloud.run("--branch=" + {"branch": "x/main", "tag": "v1", "hash": wanted}[kind])
    assert done.returncode == 0, done.stderr
    assert cloud.git("-C", cloud.folder / "worker1" / "meshwright", "rev-parse", "HEAD") == wanted


# creating and deleting


CREATE = ["--create", "--type=v6e-8"]


def test_create_requests_the_tpu_and_waits_for_it(cloud):
    cloud.install("sleep", f"#!/usr/bin/env bash\necho $1 >>{cloud.folder}/slept\n")
    cloud.says("states", "\nWAITING_FOR_RESOURCES\nPROVISIONING\nACTIVE\n")
    done = cloud.run(*CREATE, "--spot", "--project=p")
    assert done.returncode == 0, done.stderr
    assert cloud.verbs() == ["describe", "create", "describe", "describe", "describe", "ssh", "ssh"]
    assert " ".join(cloud.calls()[1]) == (
        "compute tpus queued-resources create my-tpu --node-id=my-tpu --zone=us-east5-b --project=p"
        " --accelerator-type=v6e-8 --runtime-version=v2-alpha-tpuv6e --spot"
    )
    assert all("--project=p" in call for call in cloud.calls())
    assert (cloud.folder / "slept").read_text().split() == ["30", "30"]


def test_a_tpu_that_is_there_is_not_created_again(cloud):
    cloud.says("states", "ACTIVE\nACTIVE\n")
    assert cloud.run(*CREATE).returncode == 0
    assert cloud.verbs() == ["describe", "describe", "ssh", "ssh"]


def test_a_spot_tpu_that_was_taken_away_is_requested_anew(cloud):
    cloud.says("states", "SUSPENDED\nACTIVE\n")
    assert cloud.run(*CREATE, "--spot").returncode == 0
    assert cloud.verbs() == ["describe", "delete", "create", "describe", "ssh", "ssh"]


def test_a_request_that_fails_is_an_error(cloud):
    cloud.says("states", "\nFAILED\n")
    done = cloud.run(*CREATE)
    assert done.returncode == 1
    assert done.stderr.startswith("train.sh: my-tpu cannot be had")
    assert cloud.verbs() == ["describe", "create", "describe"]


@pytest.mark.parametrize(("code", "deleted"), [("0", True), ("1", False)])
def test_delete_after_waits_for_a_good_end(cloud, code, deleted):
    cloud.says("states", "ACTIVE\nACTIVE\n")
    cloud.says("code", code)
    assert cloud.run(*CREATE, "--delete-after").returncode == int(code)
    assert ("delete" in cloud.verbs()) == deleted
    if deleted:
        delete = "compute tpus queued-resources delete my-tpu --zone=us-east5-b --force --quiet"
        assert " ".join(cloud.calls()[-1]) == delete


@pytest.mark.parametrize(
    ("kind", "accelerator", "software"),
    [
        ("v2-8", "v2-8", "tpu-ubuntu2204-base"),
        ("v3-32", "v3-32", "tpu-ubuntu2204-base"),
        ("v4-8", "v4-8", "tpu-ubuntu2204-base"),
        ("v5e-16", "v5litepod-16", "v2-alpha-tpuv5-lite"),
        ("v5litepod-16", "v5litepod-16", "v2-alpha-tpuv5-lite"),
        ("v5p-128", "v5p-128", "v2-alpha-tpuv5"),
        ("v6e-256", "v6e-256", "v2-alpha-tpuv6e"),
    ],
)
def test_the_software_that_belongs_to_a_type(cloud, kind, accelerator, software):
    printed = cloud.run("--create", f"--type={kind}", "--dry-run").stdout
    assert f"--accelerator-type={accelerator} --runtime-version={software}\n" in printed


def test_software_by_name_goes_with_any_type(cloud):
    printed = cloud.run("--create", "--type=v9-8", "--version=v9-alpha", "--dry-run").stdout
    assert "--accelerator-type=v9-8 --runtime-version=v9-alpha\n" in printed


# dry run


def test_a_dry_run_prints_what_a_real_one_runs(cloud):
    options = [*CREATE, "--spot", "--delete-after", "--project=p"]
    dry = cloud.run(*options, "--dry-run", training=NASTY)
    assert (dry.returncode, dry.stderr) == (0, "")
    assert cloud.calls() == []
    assert dry.stdout.startswith("gcloud compute tpus queued-resources describe my-tpu --zone=us-east5-b")
    assert cloud.trained(0) == []
    cloud.says("states", "\nACTIVE\n")
    assert cloud.run(*options, training=NASTY).returncode == 0
    real = cloud.calls()
    assert cloud.verbs() == ["describe", "create", "describe", "ssh", "ssh", "delete"]
    for path in (cloud.folder / "calls").iterdir():
        path.unlink()
    cloud.execute([str(cloud.tools / "bash"), "-c", dry.stdout])
    assert cloud.calls() == real[:2] + real[3:], "pasted, it is the same, but for the waiting"
    assert cloud.trained(0) == [["-m", "train", *NASTY]] * 2


def test_a_dry_run_needs_no_gcloud(cloud):
    (cloud.bin / "gcloud").unlink()
    assert cloud.run("--dry-run").returncode == 0


# mistakes


@pytest.mark.parametrize(
    ("options", "training", "message"),
    [
        (["--name="], TRAINING, "--name is missing: write the TPU's name, such as --name=my-tpu"),
        (["--zone="], TRAINING, "--zone is missing: write the TPU's zone, such as --zone=us-east5-b"),
        ([], TRAINING[1:], "training's --config is missing: write it last, such as -- --config=configs/lm_tiny.py"),
        (
            [],
            TRAINING[:1],
            "training's --workdir is missing: write it last, such as -- --workdir=gs://my-bucket/a",
        ),
        ([], [], "training's --config is missing: write it last, such as -- --config=configs/lm_tiny.py"),
        (["--create"], TRAINING, "--type is missing: write what to create, such as --type=v6e-8"),
        (["--spot"], TRAINING, "--spot and --delete-after need --create: write that too"),
        (["--delete-after"], TRAINING, "--spot and --delete-after need --create: write that too"),
        (["--nmae=x"], TRAINING, "--nmae=x: no such option; --help shows them, and training's own come after a --"),
        (["--name", "x"], TRAINING, "--name: no such option; --help shows them, and training's own come after a --"),
        (
            ["--create", "--type=v7-8"],
            TRAINING,
            "--type=v7-8: expected v2-, v3-, v4-, v5e-, v5p- or v6e- and a number; else write its --version",
        ),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_write(cloud, options, training, message):
    done = cloud.run(*options, training=training)
    assert (done.returncode, done.stderr, done.stdout) == (2, f"train.sh: {message}\n", "")
    assert cloud.calls() == []


def test_an_unknown_branch_is_a_mistake(cloud):
    done = cloud.run("--branch=mian")
    assert done.returncode == 2
    assert done.stderr == (
        f"train.sh: --branch=mian: found no such branch or tag in {cloud.origin}; write one, or a full commit hash\n"
    )


def test_without_gcloud_it_says_how_to_get_it(cloud):
    (cloud.bin / "gcloud").unlink()
    done = cloud.run()
    assert done.returncode == 2
    assert done.stderr == (
        "train.sh: gcloud is not installed: follow https://cloud.google.com/sdk/docs/install, then write: gcloud init\n"
    )


def test_the_repo_is_this_checkout_s_origin_unless_given(cloud):
    checkout = cloud.folder / "checkout"
    cloud.git("init", "--quiet", checkout)
    shutil.copy(SCRIPT, checkout / "train.sh")
    line = [str(cloud.tools / "bash"), str(checkout / "train.sh"), *PLACE, "--dry-run", "--", *TRAINING]
    done = cloud.execute(line)
    assert done.returncode == 2
    assert "--repo is missing, and this checkout has no origin: write --repo=https://..." in done.stderr
    cloud.git("-C", checkout, "remote", "add", "origin", cloud.origin)
    done = cloud.execute(line)
    assert done.returncode == 0
    assert f"train.sh prepare {cloud.origin} " in done.stdout.replace("'\\''", "'")


def test_help_is_the_header(cloud):
    done = cloud.execute([str(cloud.tools / "bash"), str(SCRIPT), "--help"])
    assert done.returncode == 0
    assert done.stdout.startswith("Trains on a TPU VM, or on every worker of a pod slice:\n")
    assert "Exit codes: 0 trained" in done.stdout
    assert "set -euo" not in done.stdout


def test_shellcheck_has_nothing_to_say():
    shellcheck = shutil.which("shellcheck") or pytest.skip("no shellcheck here")
    assert subprocess.run([shellcheck, str(SCRIPT)], capture_output=True, text=True).stdout == ""
