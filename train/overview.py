"""What a run is, told before it begins: its config and where that comes from, what follows from it, its parameters."""

from collections.abc import Iterator, Mapping
from typing import Any

import jax

from models import count
from models.transformer_config import TransformerConfig
from train import optimizer, provenance, state, trees
from train.checkpoint import Restored
from train.command_line import Command
from train.experiment import Engine
from train.feeds import Feed
from train.optimizer import Axes, Optimizer, groups
from train.parallel import rules
from train.reports import differences
from train.spec import Run


def derived(run: Run, engine: Engine, feed: Feed | None = None) -> dict[str, Any]:
    """What follows from the config, the devices and, where it is given, the data; for people to read."""
    return {
        **run.derive(len(engine.mesh.devices.flat)),
        "durations": run.durations(feed.epoch_examples if feed else 0),
        "num_params": sum(leaf.size for leaf in jax.tree.leaves(engine.definition.shapes)),
        f"train_flops_per_{run.data.unit.removesuffix('s')}": flops_per_unit(run, engine),
        **(feed.facts() if feed else {}),
    }


def flops_per_unit(run: Run, engine: Engine) -> int:
    """Floating point operations of a training step for each token, or each example."""
    if isinstance(run.model, TransformerConfig):
        return count.train_flops(run.model, seq_len=run.data.seq_len)
    return (
        count.traced_train_flops(engine.forward, engine.definition.shapes, engine.one_row()) // run.data.example_tokens
    )


def config(command: Command, derived: dict[str, Any]) -> str:
    """Each value with its origin, and what gave way to what."""
    return "\n".join([provenance.table(command.config, command.origins, derived), *command.notes])


def parts(engine: Engine, feed: Feed) -> list[str]:
    """The model, where each leaf lies, and the data."""
    from clu import parameter_overview

    mesh = " x ".join(f"{axis}={size}" for axis, size in engine.mesh.shape.items())
    return [
        parameter_overview.get_parameter_overview(engine.definition.shapes, include_stats=False),
        rules.table(engine.abstract_state),
        *optimizer_lines(engine.run.optimizer, engine.definition.shapes, engine.definition.axes),
        f"mesh {mesh}; state {state.num_bytes(engine.abstract_state):,} bytes over all devices",
        f"attention: {engine.attention.name}, {engine.attention.reason}",
        *feed.lines(),
    ]


def optimizer_lines(spec: Optimizer, params: Any, axes: Axes) -> list[str]:
    """Lines for people: the values, what each group holds, and fields that nothing reads."""
    values = ", ".join(f"{name}={value:g}" for name, value in spec.floats.items())
    lines = [f"optimizer {type(spec).__name__}: {values}; schedule {spec.schedule.name}"]
    sizes = {trees.name(path): leaf.size for path, leaf in jax.tree.leaves_with_path(params)}
    holds = lambda names: f"{len(names)} arrays, {sum(sizes[name] for name in names):,} parameters"
    group_of = groups.assign(spec.groups, list(sizes))
    for what, names in spec.parts(axes).items():
        lines.append(f"{what}: {holds(names)}")
    if spec.l1:
        lines.append(f"under L1: {holds(optimizer.sparse(spec, axes))}")
    for label in sorted(spec.groups):
        group, names = spec.groups[label], [name for name in sizes if group_of.get(name) == label]
        factors = f"rate x {group.rate:g}, decay x {group.decay:g}" if group.rate else "frozen"
        lines.append(f"group {label}: {holds(names)}, {factors}")
    if spec.groups:
        lines.append(f"in no group: {holds([name for name in sizes if name not in group_of])}")
    for name, value in spec.schedule.unread().items():
        lines.append(f"optimizer.schedule.{name}={value!r} is not read by the schedule {spec.schedule.name}")
    return lines


def resumed(restored: Restored, run: Run, config: Mapping[str, Any]) -> Iterator[str]:
    """Where a run goes on, and what differs in its config."""
    yield f"going on from step {restored.step} of {run.train.num_steps}"
    for path, before, now in differences.fields(restored.config, config):
        yield f"changed since step {restored.step}: {path}: {before!r} -> {now!r}"
    if run.ema.decay and "ema" not in restored.state:
        yield f"ema: the checkpoint holds no average; it starts from the parameters of step {restored.step}"
