"""Helpers start without the parent's main module, and end with the parent even in the middle of work."""

import signal
import subprocess
import sys
import textwrap
import time

import pytest

# No __main__ guard: a helper that imported this file would start helpers of its own.
SCRIPT = textwrap.dedent("""
    import os, sys, time
    sys.path.insert(0, os.getcwd())
    from input_pipeline.workers import completed

    print(*completed(abs, [-1, -2, -3], num_workers=1), flush=True)
    for _ in completed(time.sleep, [0, 60, 60], num_workers=2):
        print("one done", flush=True)
""")


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_busy_helpers_of_an_unguarded_script_go_with_it(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, str(script)], text=True, **pipes)
    assert sorted(process.stdout.readline().split()) == ["1", "2", "3"], process.communicate()
    assert process.stdout.readline() == "one done\n"
    with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
        children = [int(child) for child in file.read().split()]
    assert len(children) >= 2
    process.send_signal(signal.SIGKILL)
    process.wait()  # not communicate, which would wait for the helpers too
    deadline = time.monotonic() + 10
    while any(map(_runs, children)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(_runs, children))
    process.communicate()
