"""What a run leaves behind and says: exact over resumes, on every kind of console."""

import io
import json
import math
import re
import subprocess
import sys

import fsspec
import pytest
from rich.console import Console

from train.reports.workdir import read_sessions
from train.writer import Writer, cut_back, has_samples, progress_line


def terminal(width=100):
    return Console(file=io.StringIO(), force_terminal=True, width=width)


def pipe():
    return Console(file=io.StringIO(), force_terminal=False, width=40)


def open_writer(workdir, *, resume_step=None, console=None, process_index=0):
    return Writer(
        workdir,
        process_index=process_index,
        total_steps=2000,
        resume_step=resume_step,
        console=console or pipe(),
    )


def train(workdir, steps, *, resume_step=None, loss=2.0):
    with open_writer(workdir, resume_step=resume_step) as writer:
        for step in steps:
            writer.write(step, {"train/loss": loss + step / 7})


def lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


# sessions.jsonl


def sessions(workdir):
    return [json.loads(line) for line in (workdir / "sessions.jsonl").read_text().splitlines()]


def test_what_is_known_of_each_session_is_kept_at_once(tmp_path):
    with open_writer(tmp_path) as writer:
        writer.record(started="now", start_step=0)
        assert sessions(tmp_path) == [{"session": 1, "started": "now", "start_step": 0}]
        writer.record(exit="SIGTERM")
    with open_writer(tmp_path, resume_step=10) as writer:
        writer.record(started="later")
    assert [(line["session"], *list(line)[1:]) for line in sessions(tmp_path)] == [
        (1, "started", "start_step"),
        (1, "exit"),
        (2, "started"),
    ]
    assert [run["exit"] for run in read_sessions(tmp_path) if "exit" in run] == ["SIGTERM"]


def test_a_session_s_line_that_was_broken_off_is_cut_away(tmp_path):
    (tmp_path / "sessions.jsonl").write_text('{"session": 1, "started": "now"}\n{"session": 1, "ex')
    with open_writer(tmp_path) as writer:
        writer.record(started="later")
    assert sessions(tmp_path) == [{"session": 1, "started": "now"}, {"session": 2, "started": "later"}]


# metrics.jsonl


def test_a_step_is_one_line_that_starts_with_it(tmp_path):
    with open_writer(tmp_path) as writer:
        writer.write(0, {"val/loss": 5.5})
        writer.write(10, {"train/loss": 2.5, "train/skipped": 1})
        writer.write(10, {"val/loss": 2.75})
        writer.write(20, {"train/loss": 2.25})
    assert (tmp_path / "metrics.jsonl").read_text() == (
        '{"step": 0, "val/loss": 5.5}\n'
        '{"step": 10, "train/loss": 2.5, "train/skipped": 1, "val/loss": 2.75}\n'
        '{"step": 20, "train/loss": 2.25}\n'
    )


def test_a_line_appears_with_the_next_step_or_with_a_flush(tmp_path):
    with open_writer(tmp_path) as writer:
        writer.write(1, {"train/loss": 1.0})
        assert lines(tmp_path) == []
        writer.write(2, {"train/loss": 1.0})
        assert [line["step"] for line in lines(tmp_path)] == [1]
        writer.flush()
        assert [line["step"] for line in lines(tmp_path)] == [1, 2]


def test_what_json_cannot_say_is_null(tmp_path):
    with open_writer(tmp_path) as writer:
        writer.write(1, {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 0.1})
    text = (tmp_path / "metrics.jsonl").read_text()
    strict = json.loads(text, parse_constant=pytest.fail)
    assert strict == {"step": 1, "a": None, "b": None, "c": None, "d": 0.1}


@pytest.mark.parametrize(
    ("calls", "message"),
    [
        ([(2, "a"), (1, "a")], "step 1 is written after the line of step 2"),
        ([(2, "a"), None, (2, "b")], "step 2 is written after the line of step 2"),
        ([(2, "a"), (2, "a")], r"written twice at step 2: \['a'\]"),
        ([(2, "step")], r"written twice at step 2: \['step'\]"),
    ],
)
def test_no_step_and_no_key_is_written_twice(tmp_path, calls, message):
    def play():
        for call in calls:
            writer.flush() if call is None else writer.write(call[0], {call[1]: 1.0})

    with open_writer(tmp_path) as writer, pytest.raises(AssertionError, match=message):
        play()


def test_a_resumed_session_does_not_write_its_checkpoint_s_step_again(tmp_path):
    train(tmp_path, [1, 2])
    with open_writer(tmp_path, resume_step=2) as writer, pytest.raises(AssertionError, match="step 2"):
        writer.write(2, {"train/loss": 1.0})


def test_resume_cuts_later_steps_away_and_leaves_the_rest_byte_for_byte(tmp_path):
    train(tmp_path, range(1, 31))
    before = (tmp_path / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    train(tmp_path, range(21, 26), resume_step=20, loss=9.0)
    after = (tmp_path / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    assert after[:20] == before[:20]
    assert [line["step"] for line in lines(tmp_path)] == list(range(1, 26))
    assert lines(tmp_path)[20]["train/loss"] == 9.0 + 21 / 7


def test_lines_of_other_hands_survive_byte_for_byte(tmp_path):
    odd = b'{"step":1,"train/loss":2.50000}\r\n{ "step" : 2 }\n'
    (tmp_path / "metrics.jsonl").write_bytes(odd)
    train(tmp_path, [], resume_step=2)
    assert (tmp_path / "metrics.jsonl").read_bytes() == odd


@pytest.mark.parametrize("resume_step", [None, 0])
def test_without_a_checkpoint_the_metrics_begin_anew(tmp_path, resume_step):
    train(tmp_path, [1, 2])
    train(tmp_path, [1], resume_step=resume_step, loss=5.0)
    assert [line["step"] for line in lines(tmp_path)] == [1]
    assert lines(tmp_path)[0]["train/loss"] > 5


def test_samples_of_a_step_stand_once(tmp_path):
    """In a session that ends again at a step, or before it, and after a line that was broken off."""

    def write(step: int, texts: list[str], *, resume_step: int) -> None:
        with open_writer(tmp_path, resume_step=resume_step) as writer:
            writer.write_samples(step, [{"step": step, "text": text} for text in texts])

    path = tmp_path / "samples.jsonl"
    write(10, ["a", "b"], resume_step=0)
    write(20, ["c", "d"], resume_step=10)
    assert has_samples(path, step=20, num_samples=2)
    write(20, ["e", "f"], resume_step=20)
    path.write_bytes(path.read_bytes()[:-3])
    assert not has_samples(path, step=20, num_samples=2)
    write(20, ["g", "h"], resume_step=20)
    written = [tuple(json.loads(line).values()) for line in path.read_text().splitlines()]
    assert written == [(10, "a"), (10, "b"), (20, "g"), (20, "h")]
    with open_writer(tmp_path, resume_step=15):
        assert not has_samples(path, step=20, num_samples=2), "later than the checkpoint"
    assert has_samples(path, step=10, num_samples=2)
    assert not has_samples(tmp_path / "none.jsonl", step=10, num_samples=2)


@pytest.mark.parametrize("last_step", [2, 3])
def test_killed_at_every_byte_of_the_last_line(tmp_path, last_step):
    """A half-written line goes, of whatever step it is; a whole one is judged by its step."""
    path = tmp_path / "metrics.jsonl"
    train(tmp_path, [1, 2, 3])
    whole = path.read_bytes()
    kept = b"".join(whole.splitlines(keepends=True)[:2])
    for length in range(len(kept), len(whole)):
        path.write_bytes(whole[:length])
        cut_back(path, last_step=last_step)
        assert path.read_bytes() == kept, f"broken off after byte {length}"
    path.write_bytes(whole)
    cut_back(path, last_step=last_step)
    assert path.read_bytes() == (whole if last_step == 3 else kept)


@pytest.mark.parametrize("junk", [b"\0" * 100, b"\0" * 100 + b"\n", b"[1]\n", b"{}\n", b"null\n"])
def test_junk_that_a_crash_left_is_cut_away(tmp_path, junk):
    train(tmp_path, [1, 2])
    path = tmp_path / "metrics.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + junk)
    cut_back(path, last_step=2)
    assert path.read_bytes() == whole


def test_cutting_back_is_atomic(tmp_path, monkeypatch):
    """Killed before the rename, the file is the old one, and the next session succeeds."""
    train(tmp_path, [1, 2, 3])
    path = tmp_path / "metrics.jsonl"
    whole = path.read_bytes()

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(path), "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            cut_back(path, last_step=1)
    assert path.read_bytes() == whole
    cut_back(path, last_step=1)
    assert path.read_bytes() == whole.splitlines(keepends=True)[0]
    assert sorted(p.name for p in tmp_path.glob("metrics*")) == ["metrics.jsonl"]


def test_a_real_kill_loses_no_line_that_was_flushed(tmp_path):
    code = f"""
import io, os, signal
from rich.console import Console
from train.writer import Writer
writer = Writer({str(tmp_path)!r}, total_steps=9, resume_step=None, console=Console(file=io.StringIO()))
for step in (1, 2, 3):
    writer.write(step, {{"train/loss": 1.0}})
writer.flush()
writer.write(4, {{"train/loss": 1.0}})
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert [line["step"] for line in lines(tmp_path)] == [1, 2, 3]
    train(tmp_path, [4, 5], resume_step=3)
    assert [line["step"] for line in lines(tmp_path)] == [1, 2, 3, 4, 5]


# TensorBoard


def events(workdir):
    """All events of a workdir, in the order in which TensorBoard reads its files."""
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted(workdir.glob("events.out.tfevents.*")):
        data = path.read_bytes()
        while data:  # a record: length (8 bytes), its checksum (4), the event, its checksum (4)
            size = int.from_bytes(data[:8], "little")
            yield Event.FromString(data[12 : 12 + size])
            data = data[16 + size :]


def test_tensorboard_gets_every_number_and_the_step_to_forget_from(tmp_path):
    train(tmp_path, [1, 2, 3])
    with open_writer(tmp_path, resume_step=2) as writer:
        writer.write(3, {"train/loss": math.nan, "val/loss": 0.5})
    got = [(event.step, value.tag, value.simple_value) for event in events(tmp_path) for value in event.summary.value]
    assert [(step, tag) for step, tag, _ in got] == [
        *((step, "train/loss") for step in (1, 2, 3)),
        *((3, tag) for tag in ("train/loss", "val/loss")),
    ]
    assert got[0][2] == pytest.approx(2 + 1 / 7)
    assert math.isnan(got[3][2])
    assert [event.step for event in events(tmp_path) if event.HasField("session_log")] == [0, 3]


# console and run.log


STEP = {
    "train/loss": 2.4123,
    "train/tokens_per_s": 12345.0,
    "train/eta_s": 80.0,
    "train/data_wait_fraction": 0.1,
}


def test_plain_lines(tmp_path):
    console = pipe()
    with open_writer(tmp_path, console=console) as writer:
        writer.say("a [red]long[/red] line that is wider than the forty columns of this console")
        writer.write(200, STEP)
        writer.write(200, {"val/loss": 2.5, "val/accuracy": 0.43219})
    assert console.file.getvalue() == (
        "a [red]long[/red] line that is wider than the forty columns of this console\n"
        "step 200/2000  loss 2.412  tokens/s 12.3k  eta 1m20s\n"
        "step 200/2000  val/loss 2.5  val/accuracy 0.4322\n"
    )


def test_a_terminal_has_a_bar_and_lines_above_it(tmp_path):
    console = terminal()
    with open_writer(tmp_path, console=console, resume_step=100) as writer:
        writer.write(200, STEP)
        writer.say("[red] saved")
        writer.write(200, {"val/loss": 2.5})
        writer.write(2000, STEP | {"train/eta_s": 0.0})
    screen = console.file.getvalue()
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen)
    rows = [row.split("\r")[-1].rstrip() for row in text.split("\n")]
    assert rows[0] == "[red] saved"
    assert rows[1] == "step 200/2000  val/loss 2.5"
    assert re.fullmatch(r"step 2000/2000 ━+ loss 2.412  tokens/s 12.3k  eta 0s", rows[2])
    assert "step 100/2000 ━" in text
    assert "\n" not in text.split("[red] saved")[0], "steps move the bar and print no line"
    assert screen.index("\x1b[?25l") < screen.index("\x1b[?25h"), "the cursor comes back"


def test_a_narrow_terminal_keeps_the_numbers_on_one_row(tmp_path):
    console = terminal(width=60)
    with open_writer(tmp_path, console=console) as writer:
        writer.write(200, STEP)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())
    assert text.count("\n") == 1
    assert "loss 2.412  tokens/s 12.3k  eta 1m20s" in text


def test_the_terminal_comes_back_after_an_error(tmp_path):
    console = terminal()
    with pytest.raises(AssertionError), open_writer(tmp_path, console=console) as writer:
        writer.write(1, STEP | {"step": 1})
    assert console.file.getvalue().endswith("\x1b[?25h")


@pytest.mark.parametrize("console", [terminal, pipe])
def test_run_log_has_all_that_was_said_over_all_sessions(tmp_path, console):
    for resume_step in (None, 200):
        with open_writer(tmp_path, console=console(), resume_step=resume_step) as writer:
            writer.say(f"resumed from {resume_step}: 100 % äöü")
            writer.write((resume_step or 0) + 200, STEP)
    log = (tmp_path / "run.log").read_text(encoding="utf-8").splitlines()
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d{4}  "
    assert all(re.match(stamp, line) for line in log)
    assert [re.sub(stamp, "", line) for line in log] == [
        "resumed from None: 100 % äöü",
        "step 200/2000  loss 2.412  tokens/s 12.3k  eta 1m20s",
        "resumed from 200: 100 % äöü",
        "step 400/2000  loss 2.412  tokens/s 12.3k  eta 1m20s",
    ]


@pytest.mark.parametrize("console", [terminal, pipe])
def test_other_processes_write_nothing_and_say_nothing(tmp_path, console):
    console = console()
    with open_writer(tmp_path / "run", process_index=1, console=console) as writer:
        writer.say("hello")
        writer.write(1, STEP)
        writer.flush()
    assert console.file.getvalue() == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("tokens_per_s", "eta_s", "shown"),
    [
        (850.4, 9.2, "tokens/s 850  eta 9s"),
        (999_900, 59.6, "tokens/s 1M  eta 1m00s"),
        (4_560_000, 3599.6, "tokens/s 4.56M  eta 1h00m"),
        (1.2e9, 7500, "tokens/s 1.2G  eta 2h05m"),
        (0.5, 3 * 86400 + 4 * 3600, "tokens/s 0.5  eta 3d04h"),
        (0, 0, "tokens/s 0  eta 0s"),
    ],
)
def test_numbers_as_people_read_them(tokens_per_s, eta_s, shown):
    metrics = {"train/loss": math.nan, "train/tokens_per_s": tokens_per_s, "train/eta_s": eta_s}
    assert progress_line(1, 10, metrics) == f"step 1/10  loss nan  {shown}"


# workdirs on a bucket


def test_a_bucket_gets_the_files_at_each_flush_and_a_session_goes_on_from_them():
    bucket = fsspec.filesystem("memory")
    bucket.store.clear()
    with open_writer("memory://bucket/run-a") as writer:
        writer.record(start_step=0)
        assert bucket.cat_file("/bucket/run-a/sessions.jsonl") == b'{"session": 1, "start_step": 0}\n'
        writer.say("first")
        writer.write(1, STEP)
        writer.flush()
        assert bucket.cat_file("/bucket/run-a/metrics.jsonl").startswith(b'{"step": 1, ')
        assert writer.folder.name == "run-a"
        writer.write(2, STEP)
        (writer.folder / "report").mkdir()
        (writer.folder / "report" / "loss.png").write_bytes(b"png")
    spool = writer.folder
    with open_writer("memory://bucket/run-a/", resume_step=1) as writer:
        writer.record(start_step=1)
        writer.say("second")
        writer.write(3, STEP)
    steps = [json.loads(line)["step"] for line in bucket.cat_file("/bucket/run-a/metrics.jsonl").splitlines()]
    assert steps == [1, 3]
    assert bucket.cat_file("/bucket/run-a/sessions.jsonl").endswith(b'\n{"session": 2, "start_step": 1}\n')
    log = bucket.cat_file("/bucket/run-a/run.log").decode()
    assert log.index("first") < log.index("second")
    assert bucket.cat_file("/bucket/run-a/report/loss.png") == b"png"
    assert len(bucket.glob("/bucket/run-a/events.out.tfevents.*")) == 2
    assert not spool.exists()


def test_a_bucket_of_an_unknown_kind_is_the_user_s_mistake():
    with pytest.raises(ValueError, match="--workdir=nowhere://x cannot be reached: Protocol not known: nowhere"):
        open_writer("nowhere://x")


def test_imports_are_light():
    heavy = {"jax", "numpy", "rich", "tensorboardX", "fsspec"}
    code = f"import sys, train.writer; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
