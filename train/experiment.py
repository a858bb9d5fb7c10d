"""Assembly: the only file that knows every room. From a checked run to what computes it, and to its loop."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import jax
from jax.sharding import Mesh

from train import durations, initialize, optimizer, spec, state
from train.checkpoint import Checkpoints
from train.clock import Clock
from train.ema import PARAMS
from train.evaluate import Evaluator
from train.feeds import Feed
from train.guard import StopRequests
from train.loop import Loop, Plan
from train.parallel import attention as attentions
from train.parallel import cpu
from train.parallel import mesh as meshes
from train.parallel.placement import MeshPlacement
from train.profile import Profile
from train.state import Definition, State
from train.step import Batch, EvalStep, Report, Step
from train.writer import Writer

ASSUMED_EPOCH_EXAMPLES = 1_000_000  # where there is no data to count


@dataclasses.dataclass(frozen=True)
class Engine:
    """What computes a run on some devices. It needs neither data nor that the devices are there."""

    run: spec.Run
    mesh: Mesh
    attention: attentions.Choice

    @cached_property
    def definition(self) -> Definition:
        return Definition(self.run.model_class, self.run.model)

    @cached_property
    def optimizer(self):
        return optimizer.make(self.run.optimizer, num_steps=self.run.train.num_steps, axes=self.definition.axes)

    @cached_property
    def abstract_state(self) -> State:
        return state.abstract(self.definition, self.optimizer, self.run.ema, self.mesh)

    @cached_property
    def placement(self) -> MeshPlacement:
        form = cpu.CpuPlacement if cpu.suits(self.mesh) else MeshPlacement
        return form(self.run.remat, self.attention.name)

    @cached_property
    def train_step(self):
        """Jitted: (state, batch, constants) -> (state, Report). The old state's memory is given to the new."""
        step = Step(
            self.definition,
            self.run.objective,
            self.optimizer,
            partial(optimizer.learning_rate, self.run.optimizer, num_steps=self.run.train.num_steps),
            self.placement,
            self.run.seed,
            self.run.train.accumulation,
            self.run.ema,
            self.run.data.mixing,
            self.run.data.num_classes if self.run.data.mixing else 0,
            optimizer.sparse(self.run.optimizer, self.definition.axes),
        )
        shardings = jax.tree.map(lambda leaf: leaf.sharding, self.abstract_state)
        options = cpu.compiler_options(self.mesh)
        return jax.jit(step, donate_argnums=0, out_shardings=(shardings, None), compiler_options=options)

    @cached_property
    def eval_step(self):
        """Jitted: (params, stats, batch, constants) -> Sums."""
        step = EvalStep(self.definition, self.run.objective, self.placement)
        return jax.jit(step, compiler_options=cpu.compiler_options(self.mesh))

    def forward(self, params: State, batch: Batch) -> Any:
        """The objective of a batch on one device, without dropout: what is counted in operations."""
        return self.run.objective(self.definition.bind(params, stats=self.definition.zero_stats), batch, None, {})

    def one_row(self) -> dict[str, jax.ShapeDtypeStruct]:
        """A batch of one row as shapes."""
        contract = self.run.data.contract
        return {name: jax.ShapeDtypeStruct((1, *field.shape), field.dtype) for name, field in contract.items()}

    def train_program(self) -> str:
        """The text of the compiled training step. To be called under `jax.set_mesh(engine.mesh)`, once it has run."""
        return self.train_step.lower(self.abstract_state, self.abstract_batch(), {}).compile().as_text()

    def abstract_batch(self) -> dict[str, jax.ShapeDtypeStruct]:
        """The global training batch as shapes."""
        sharding = meshes.batch_sharding(self.mesh)
        size = self.run.train.batch_size
        return {
            name: jax.ShapeDtypeStruct((size, *field.shape), field.dtype, sharding=sharding)
            for name, field in self.run.data.contract.items()
        }

    def fresh_state(self) -> State:
        """The state at step 0. To be called under `jax.set_mesh(engine.mesh)`."""
        return initialize.fresh(self.definition, self.optimizer, self.run.ema, self.abstract_state, self.run.seed)

    def resumed_state(self, restored: State) -> State:
        """A checkpoint's state with this run's rates, and an average of the parameters if it lacks one."""
        opt_state = optimizer.with_hyperparameters(restored["opt_state"], self.run.optimizer)
        resumed = {**restored, "opt_state": opt_state}
        if self.run.ema.decay and "ema" not in resumed:
            resumed["ema"] = self.run.ema.start(resumed["params"])
        return resumed


def engine(run: spec.Run, devices: Sequence[jax.Device], *, epoch_examples: int = ASSUMED_EPOCH_EXAMPLES) -> Engine:
    """The engine of a run on these devices. Its run has its durations in steps, but for cadences.

    Args:
      epoch_examples: rows of the training split. Nothing depends on it but durations in epochs, and nothing that is
        compiled but the schedule's constants: without data one may assume any.

    Raises:
      ValueError: the mesh does not fit the devices, the batch, the model or its attention does not fit the mesh, or a
        regex of the optimizer finds no parameter.
    """
    run.derive(len(devices))
    attention = attentions.choose(
        run.kernels.attention,
        platform=devices[0].platform,
        shape=run.model.attention_shape,
        softmax_dtype=run.precision.softmax,
    )
    in_steps = durations.in_steps(run, run.pace(epoch_examples))
    built = Engine(in_steps, meshes.make(devices, run.mesh), attention)
    assert built.abstract_state
    return built


def loop(
    engine: Engine,
    feed: Feed,
    *,
    config: Mapping[str, Any],
    writer: Writer,
    clock: Clock,
    checkpoints: Checkpoints,
    stop: StopRequests,
    profile: Profile,
    on_first_step: Callable[[Report], None],
) -> Loop:
    """The loop of a run: everything that it needs, put together."""
    run = engine.run
    constants: dict[str, Any] = {}  # the frozen inputs of an objective; none of ours has any
    is_text = run.data.modality == "text"
    pace = run.pace(feed.epoch_examples)
    plan = Plan(
        num_steps=run.train.num_steps,
        batch_size=run.train.batch_size,
        step_amount=run.train.batch_size * run.data.example_tokens,
        log=pace.cadence(run.log),
        checkpoint=pace.cadence(run.checkpoint),
        max_skipped=run.guard.max_skipped,
    )
    evaluators = {
        name: Evaluator(
            cadence=pace.cadence(evaluation),
            split=evaluation.split,
            eval_step=engine.eval_step,
            batches=partial(feed.eval_batches, engine.mesh, evaluation),
            objective=run.objective,
            constants=constants,
            context=feed.context(evaluation),
            explain=partial(feed.explain, evaluation) if evaluation.explain and not is_text else None,
            part=PARAMS[evaluation.params],
        )
        for name, evaluation in run.eval.items()
    }
    return Loop(
        plan=plan,
        train_step=engine.train_step,
        batches=lambda start: feed.train_batches(engine.mesh, start=start),
        constants=constants,
        evaluators=evaluators,
        cursor=feed.cursor,
        config=config,
        writer=writer,
        clock=clock,
        checkpoints=checkpoints,
        stop=stop,
        profile=profile,
        on_first_step=on_first_step,
    )
