"""Times of operations: from traces written out by hand, in the layouts of a TPU and of a CPU."""

import numpy as np
import pytest
from jax.profiler import ProfileData

from train import trace
from train.trace import Span

pytestmark = pytest.mark.fast

PROGRAM = """HloModule jit_train_step, is_scheduled=true

FileNames
1 "/a/checkout/train/step.py"
2 "/a/checkout/models/layers/mlp.py"
3 "/a/checkout/models/layers/linear.py"
4 "/usr/lib/python3/site-packages/optax/transform.py"

FunctionNames
1 "Step.__call__"

FileLocations
1 {file_name_id=1 function_name_id=1 line=10 end_line=10 column=1 end_column=2}
2 {file_name_id=2 function_name_id=1 line=20 end_line=20 column=1 end_column=2}
3 {file_name_id=3 function_name_id=1 line=30 end_line=30 column=1 end_column=2}
4 {file_name_id=4 function_name_id=1 line=40 end_line=40 column=1 end_column=2}

StackFrames
1 {file_location_id=1}
2 {file_location_id=2 parent_frame_id=1}
3 {file_location_id=3 parent_frame_id=2}
4 {file_location_id=4 parent_frame_id=1}

%body (x: f32[8]) -> f32[8] {
  ROOT %dot.1 = f32[8]{0} dot(%a, %b), metadata={op_name="jit(train_step)/jvp(LD,DF)/dot_general" stack_frame_id=3}
}

ENTRY %main {
  %while.2 = (s32[], f32[8]{0:T(256)}) while(%t), body=%b, metadata={op_name="jit(train_step)/while" stack_frame_id=2}
  %fusion.7 = (f32[8], f32[]) fusion(%c), kind=kLoop, calls=%f, metadata={op_name="jit(f)/add" stack_frame_id=4}
  ROOT %copy.3 = f32[8]{0} copy(%d)
}
"""


def test_what_a_program_says_of_its_operations():
    assert trace.module_name(PROGRAM) == "jit_train_step"
    found = trace.read_instructions(PROGRAM)
    assert {name: (each.kind, each.source) for name, each in found.items()} == {
        "dot.1": ("dot", "jvp(LD,DF)/dot_general at models/layers/mlp.py:20 > models/layers/linear.py:30"),
        "while.2": ("while", "while at models/layers/mlp.py:20"),
        "fusion.7": ("loop fusion", "add at train/step.py:10"),
        "copy.3": ("copy", ""),
    }


class Plane:
    """An XPlane in text form. Times in nanoseconds."""

    def __init__(self, name: str):
        self.name = name
        self.lines: list[str] = []
        self.events: dict[str, int] = {}
        self.stats: dict[str, int] = {}

    def line(self, name: str, *events: tuple) -> "Plane":
        """Events: (name, start, end) or (name, start, end, {stat: value})."""
        written = "".join(self._event(*event) for event in events)
        self.lines.append(f'lines {{ id: {len(self.lines) + 1} name: "{name}" timestamp_ns: 0 {written} }}')
        return self

    def _event(self, name, start, end, stats=None):
        number = self.events.setdefault(name, len(self.events) + 1)
        facts = "".join(self._stat(*fact) for fact in (stats or {}).items())
        times = f"offset_ps: {start * 1000} duration_ps: {(end - start) * 1000}"
        return f"events {{ metadata_id: {number} {times} {facts} }}"

    def _stat(self, name, value):
        number = self.stats.setdefault(name, len(self.stats) + 1)
        kind = f'str_value: "{value}"' if isinstance(value, str) else f"int64_value: {value}"
        return f"stats {{ metadata_id: {number} {kind} }}"

    def text(self) -> str:
        tables = [
            f'{kind} {{ key: {number} value {{ id: {number} name: "{name}" }} }}'
            for kind, table in (("event_metadata", self.events), ("stat_metadata", self.stats))
            for name, number in table.items()
        ]
        return f'planes {{ name: "{self.name}" {" ".join(self.lines + tables)} }}'


def profile(*planes: Plane) -> ProfileData:
    return ProfileData.from_text_proto("".join(plane.text() for plane in planes))


def tpu(device: int, *, slower: int = 1) -> Plane:
    """Two steps with a loop of two turns, and an evaluation between them that has operations of the same names."""
    operations = []
    for start in (0, 1000):
        operations += [
            ("%while.2 = (s32[], f32[8]) while(%t)", start, start + 60),
            ("%dot.1 = f32[8,8] dot(%a, %b)", start, start + 20 * slower),
            ("%dot.1 = f32[8,8] dot(%a, %b)", start + 30, start + 30 + 20 * slower),
            ("%fusion.7 = (f32[8], f32[]) fusion(%c)", start + 70, start + 80),
        ]
    operations.append(("%dot.1 = f32[8,8] dot(%a, %b)", 500, 700))
    modules = [("jit_train_step(17)", 0, 100), ("jit_eval_step(4)", 450, 750), ("jit_train_step(17)", 1000, 1100)]
    return Plane(f"/device:TPU:{device}").line("XLA Modules", *modules).line("XLA Ops", *operations)


def test_a_tpu_by_its_modules():
    host = Plane("/host:CPU").line("python", ("PjitFunction", 0, 10))
    found = trace.executions(profile(tpu(0), tpu(1, slower=1), host), module="jit_train_step")
    assert [(each.device, each.start, each.end) for each in found] == [
        (f"/device:TPU:{device}", start, start + 100) for device in (0, 1) for start in (0, 1000)
    ]
    costs = trace.costs(found, num_steps=2, text=PROGRAM)
    assert costs.step_ms == pytest.approx(100e-6)
    told = [(each.name, each.kind, each.ms_per_step, each.share) for each in costs.operations]
    assert told == [("dot.1", "dot", pytest.approx(40e-6), 0.4), ("fusion.7", "loop fusion", pytest.approx(10e-6), 0.1)]
    assert costs.covered == pytest.approx(0.5), "the loop itself is not counted again"
    assert costs.operations[0].source.startswith("jvp(LD,DF)/dot_general at models/layers/mlp.py:20")


def test_devices_are_averaged():
    costs = trace.costs(
        trace.executions(profile(tpu(0), tpu(1, slower=2)), module="jit_train_step"), num_steps=2, text=PROGRAM
    )
    assert costs.operations[0].ms_per_step == pytest.approx((40 + 70) / 2 * 1e-6), "20 and 50 of them overlap"


def operation(name, start, end, *, run, begun, device=0, module="jit_train_step"):
    stats = {"hlo_op": name, "hlo_module": module, "run_id": run, "device_ordinal": device, "_p": begun}
    return (name, start, end, stats)


def test_a_cpu_by_names_and_ends_elsewhere():
    """dot.1 begins on one thread and ends on another; while it runs, copy.3 takes half of the machine."""
    one = [operation("dot.1", 0, 5, run=1, begun=11), ("end: copy.3", 60, 60, {"_c": 12}), ("Wait", 0, 99)]
    one += [operation("dot.1", 500, 505, run=2, begun=21)]
    two = [operation("copy.3", 40, 60, run=1, begun=12), ("end: dot.1", 100, 100, {"_c": 11})]
    two += [("end: dot.1", 600, 600, {"_c": 21}), operation("dot.1", 700, 900, run=3, begun=31, module="jit_eval_step")]
    plane = Plane("/host:CPU").line("tf_XLAEigen", *one).line("tf_XLAEigen", *two)
    found = trace.executions(profile(plane), module="jit_train_step")
    assert [(each.start, each.end) for each in found] == [(0, 100), (500, 600)]
    costs = trace.costs(found, num_steps=2, text=PROGRAM)
    assert [(each.name, each.ms_per_step) for each in costs.operations] == [
        ("dot.1", pytest.approx((90 + 100) / 2 * 1e-6)),
        ("copy.3", pytest.approx(5e-6)),
    ]
    assert costs.covered == pytest.approx(1)


def test_an_operation_that_the_program_does_not_name_is_told_by_its_own():
    plane = Plane("/host:CPU").line("thread", operation("all-reduce.12", 0, 10, run=1, begun=1))
    found = trace.executions(profile(plane), module="jit_train_step")
    [only] = trace.costs(found, num_steps=1, text=PROGRAM).operations
    assert (only.kind, only.source) == ("all-reduce", "")


def test_a_trace_without_the_program_is_an_error():
    found = trace.executions(profile(tpu(0)), module="jit_other")
    with pytest.raises(ValueError, match="no operation of the training step"):
        trace.costs(found, num_steps=1, text=PROGRAM)


def test_moments_are_shared_as_a_slow_count_shares_them():
    rng = np.random.default_rng(0)
    starts = rng.integers(0, 200, 60)
    spans = [Span(str(i), float(start), float(start + rng.integers(0, 30))) for i, start in enumerate(starts)]
    slow = np.zeros(60)
    for moment in range(240):
        at_work = [i for i, span in enumerate(spans) if span.start <= moment < span.end]
        slow[at_work] += 1 / max(len(at_work), 1)
    np.testing.assert_allclose(trace.shared_ns(spans), slow, atol=1e-9)
    assert trace.shared_ns([]) == []
