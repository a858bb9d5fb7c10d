"""Where a program's time goes: a trace of `jax.profiler`, operation by operation.

How a trace lies is told in https://openxla.org/xprof/trace_viewer and in XLA's tsl/profiler/protobuf/xplane.proto. A
device is a plane, "/device:TPU:0". A TPU's line "XLA Ops" has an event for each operation, its line "XLA Modules" one
for each run of a program; where there are no such lines, on CPUs and GPUs, events carry `hlo_op` and `hlo_module`.
"""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import PurePath
from typing import Any

CONTAINERS = ("while", "conditional", "call")  # their time is that of the operations in them
ROOMS = ("train", "models", "input_pipeline")


@dataclasses.dataclass(frozen=True)
class Span:
    """One operation at work, in nanoseconds."""

    name: str  # of the HLO instruction
    start: float
    end: float


@dataclasses.dataclass(frozen=True)
class Execution:
    """One run of a program on one device."""

    device: str
    start: float
    end: float
    spans: Sequence[Span]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Operation:
    """What one operation of a program costs: the mean over devices and steps."""

    name: str
    kind: str  # its HLO opcode; a fusion's with the kind of fusion
    source: str  # the JAX operation, and the line of ours that asked for it
    ms_per_step: float
    share: float  # of the step


@dataclasses.dataclass(frozen=True, kw_only=True)
class Costs:
    """Where the time of a step went."""

    step_ms: float  # from a program's first operation to the end of its last
    covered: float  # share of it in which some operation was at work
    operations: Sequence[Operation]  # the costliest first


def costs(executions: Sequence[Execution], *, num_steps: int, text: str) -> Costs:
    """Adds up a program's operations.

    Where several run at once, as on CPUs, each gets an equal part of the time: so the shares add up to `covered`.

    Args:
      executions: of the one program, on all devices of this process.
      num_steps: that were traced.
      text: of the compiled program, as `compiled.as_text()` gives it.

    Raises:
      ValueError: nothing of the program is in the trace.
    """
    if not executions:
        raise ValueError("the trace has no operation of the training step; trace other steps, or look at it in XProf")
    instructions = read_instructions(text)
    scale = 1e-6 / (num_steps * len({execution.device for execution in executions}))
    whole_ms = sum(execution.end - execution.start for execution in executions) * scale
    spent_ms: dict[str, float] = defaultdict(float)
    for execution in executions:
        inner = [span for span in execution.spans if _kind(span.name, instructions) not in CONTAINERS]
        for span, ns in zip(inner, shared_ns(inner), strict=True):
            spent_ms[span.name] += ns * scale
    found = [
        Operation(
            name=name,
            kind=_kind(name, instructions),
            source=instructions[name].source if name in instructions else "",
            ms_per_step=ms,
            share=ms / whole_ms,
        )
        for name, ms in sorted(spent_ms.items(), key=lambda item: -item[1])
    ]
    return Costs(step_ms=whole_ms, covered=sum(spent_ms.values()) / whole_ms, operations=found)


def shared_ns(spans: Sequence[Span]) -> list[float]:
    """Each span's time, every moment divided equally among the spans that hold it."""
    changes = sorted({time for span in spans for time in (span.start, span.end)})
    place = {time: index for index, time in enumerate(changes)}
    opened = [0] * len(changes)
    for span in spans:
        opened[place[span.start]] += 1
        opened[place[span.end]] -= 1
    given, at_work = [0.0], 0  # up to each change: what a span that was always open would have got
    for (time, later), change in zip(pairwise(changes), opened, strict=False):
        at_work += change
        given.append(given[-1] + ((later - time) / at_work if at_work else 0.0))
    return [given[place[span.end]] - given[place[span.start]] for span in spans]


def executions(profile: Any, *, module: str) -> list[Execution]:
    """The runs of a program that a `jax.profiler.ProfileData` holds, by the name of its HLO module."""
    found: list[Execution] = []
    for plane in profile.planes:
        lines = [(line.name, list(line.events)) for line in plane.lines]
        named = dict(lines)
        if "XLA Ops" in named:
            found += _of_modules(plane.name, named["XLA Ops"], named.get("XLA Modules", []), module)
        else:
            found += _of_named_events([event for _, events in lines for event in events], plane.name, module)
    return found


def _of_modules(device: str, operations: list[Any], modules: list[Any], name: str) -> Iterator[Execution]:
    """A TPU's: the module's events are called "jit_step(1234)", the operations' "%fusion.1 = bf16[8] fusion(...)"."""
    for run in modules:
        if run.name.partition("(")[0] == name:
            inside = [event for event in operations if run.start_ns <= event.start_ns < run.end_ns]
            spans = [Span(_instruction_name(event.name), event.start_ns, event.end_ns) for event in inside]
            yield Execution(device, run.start_ns, run.end_ns, spans)


def _instruction_name(event_name: str) -> str:
    return event_name.partition(" = ")[0].lstrip("%")


def _of_named_events(events: list[Any], plane: str, module: str) -> list[Execution]:
    """A CPU's or a GPU's. A CPU begins an operation in one event and ends it in another, "end: dot.1"."""
    ends: dict[Any, float] = {}
    begun: dict[tuple[str, Any], list[tuple[str, Any, Any]]] = defaultdict(list)  # by device and run
    for event in events:
        facts = dict(event.stats)
        if event.name.startswith("end: ") and "_c" in facts:
            ends[facts["_c"]] = event.start_ns
        elif facts.get("hlo_module") == module and "hlo_op" in facts:
            device = f"{plane}:{facts.get('device_ordinal', 0)}"
            begun[device, facts.get("run_id")].append((facts["hlo_op"], event, facts.get("_p")))
    found = []
    for (device, _), started in begun.items():
        spans = [Span(name, event.start_ns, max(ends.get(key, 0), event.end_ns)) for name, event, key in started]
        found.append(Execution(device, min(s.start for s in spans), max(s.end for s in spans), spans))
    return found


@dataclasses.dataclass(frozen=True)
class Instruction:
    """What a program's text says of an instruction."""

    kind: str
    source: str


INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = .*? ([a-z][\w\-]*)\(")
FUSION = re.compile(r", kind=k(\w+)")
OP_NAME = re.compile(r'op_name="([^"]*)"')
FRAME_ID = re.compile(r"stack_frame_id=(\d+)")


def read_instructions(text: str) -> dict[str, Instruction]:
    """Every instruction of a compiled program by its name."""
    frames = Frames(text)
    found = {}
    for line in text.splitlines():
        if match := INSTRUCTION.match(line):
            fusion = FUSION.search(line)
            kind = f"{fusion[1].lower()} fusion" if fusion else match[2]
            found[match[1]] = Instruction(kind, _source(line, frames))
    return found


def module_name(text: str) -> str:
    """ "HloModule jit_train_step, is_scheduled=true" -> "jit_train_step"."""
    return re.split(r"[\s,]+", text, maxsplit=2)[1]


def _source(line: str, frames: "Frames") -> str:
    """ "transpose(jvp(BLF,FD->BLD)) at models/layers/linear.py:31"; the name of the jitted function is left out."""
    operation, frame = OP_NAME.search(line), FRAME_ID.search(line)
    name = operation[1].partition("/")[2] or operation[1] if operation else ""
    place = frames.place(int(frame[1])) if frame else ""
    return " at ".join(filter(None, [name, place]))


def _kind(name: str, instructions: dict[str, Instruction]) -> str:
    return instructions[name].kind if name in instructions else re.sub(r"[.\d]+$", "", name)


class Frames:
    """The tables of stack frames at the head of a compiled program's text.

    A program from the compilation cache keeps the lines of the sources that it was compiled from.
    """

    def __init__(self, text: str):
        numbered = lambda title, pattern: {
            int(m[1]): m for m in re.finditer(pattern, _table(text, title), re.MULTILINE)
        }
        self._files = numbered("FileNames", r'^(\d+) "(.*)"')
        self._places = numbered("FileLocations", r"^(\d+) \{file_name_id=(\d+) function_name_id=\d+ line=(\d+)")
        self._frames = numbered("StackFrames", r"^(\d+) \{file_location_id=(\d+)(?: parent_frame_id=(\d+))?")

    def place(self, frame_id: int) -> str:
        """The line that asked, and the one that asked it: "models/layers/mlp.py:20 > models/layers/linear.py:31".

        Of what is in no installed package, and of the models where one of them is among it; "" if there is none.
        """
        lines = [f"{_short(file)}:{line}" for file, line in self._calls(frame_id) if "site-packages" not in file]
        inside = [line for line in lines if line.startswith("models/")] or lines
        return " > ".join(reversed(inside[:2]))

    def _calls(self, frame_id: int) -> Iterator[tuple[str, str]]:
        """(file, line), the innermost first."""
        while frame_id in self._frames:
            frame = self._frames[frame_id]
            place = self._places[int(frame[2])]
            yield self._files[int(place[2])][2], place[3]
            frame_id = int(frame[3]) if frame[3] and int(frame[3]) != frame_id else 0


def _table(text: str, title: str) -> str:
    """The lines from a title to the next empty line."""
    return text.partition(f"\n{title}\n")[2].partition("\n\n")[0]


def _short(file: str) -> str:
    """A file of ours from its room on; another's by its last two names."""
    parts = PurePath(file).parts
    rooms = [index for index, part in enumerate(parts[:-1]) if part in ROOMS]
    return "/".join(parts[rooms[-1] :] if rooms else parts[-2:])
