"""Assembly: the only file that knows every room. From a checked run to what computes it and what feeds it."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import jax
from jax.sharding import Mesh

from input_pipeline import batch as batches
from input_pipeline import cache, loader, packing, sources, splits, token_store, tokenizer
from input_pipeline.documents import Source
from input_pipeline.packing import Rows
from input_pipeline.progress import Progress
from input_pipeline.tokenizer import Tokenizer
from train import durations, initialize, optimizer, spec, state
from train.checkpoint import Checkpoints
from train.clock import Clock
from train.evaluate import Evaluator
from train.guard import StopRequests
from train.loop import Loop, Plan
from train.parallel import attention as attentions
from train.parallel import cpu
from train.parallel import mesh as meshes
from train.parallel.placement import MeshPlacement
from train.profile import Profile
from train.state import Definition, State
from train.step import EvalStep, Report, Step
from train.writer import Writer

ASSUMED_EPOCH_EXAMPLES = 1_000_000  # where there is no data to count
# Documents at fault that are named on the screen and in config.json; a store's index.json names more.
NAMED = 3


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
        return optimizer.make(self.run.optimizer, num_steps=self.run.train.num_steps)

    @cached_property
    def abstract_state(self) -> State:
        return state.abstract(self.definition, self.optimizer, self.mesh)

    @cached_property
    def placement(self) -> MeshPlacement:
        form = cpu.CpuPlacement if cpu.suits(self.mesh) else MeshPlacement
        return form(self.run.remat, self.attention.name)

    @cached_property
    def compiler_options(self) -> dict[str, Any]:
        """What XLA is asked for, on these devices."""
        return cpu.COMPILER_OPTIONS if self.mesh.devices.flat[0].platform == "cpu" else {}

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
        )
        shardings = jax.tree.map(lambda leaf: leaf.sharding, self.abstract_state)
        options = self.compiler_options
        return jax.jit(step, donate_argnums=0, out_shardings=(shardings, None), compiler_options=options)

    @cached_property
    def eval_step(self):
        """Jitted: (params, batch, constants) -> Sums."""
        step = EvalStep(self.definition, self.run.objective, self.placement)
        return jax.jit(step, compiler_options=self.compiler_options)

    def train_program(self) -> str:
        """The text of the compiled training step. To be called under `jax.set_mesh(engine.mesh)`, once it has run."""
        return self.train_step.lower(self.abstract_state, self.abstract_batch(), {}).compile().as_text()

    def abstract_batch(self) -> dict[str, jax.ShapeDtypeStruct]:
        """The global training batch as shapes."""
        sharding = meshes.batch_sharding(self.mesh)
        shape = (self.run.train.batch_size, self.run.data.seq_len)
        return {name: jax.ShapeDtypeStruct(shape, dtype, sharding=sharding) for name, dtype in batches.DTYPES.items()}

    def fresh_state(self) -> State:
        """The state at step 0. To be called under `jax.set_mesh(engine.mesh)`."""
        return initialize.fresh(self.definition, self.optimizer, self.abstract_state, self.run.seed)


def engine(run: spec.Run, devices: Sequence[jax.Device], *, epoch_examples: int = ASSUMED_EPOCH_EXAMPLES) -> Engine:
    """The engine of a run on these devices. Its run has its durations in steps, but for cadences.

    Args:
      epoch_examples: rows of the training split. Nothing depends on it but durations in epochs, and nothing that is
        compiled but the schedule's constants: without data one may assume any.

    Raises:
      ValueError: the mesh does not fit the devices, or the batch, the model or its attention does not fit the mesh.
    """
    run.derive(len(devices))
    attention = attentions.choose(
        run.kernels.attention,
        platform=devices[0].platform,
        seq_len=run.data.seq_len,
        head_size=run.model.head_size,
        softmax_dtype=run.precision.softmax,
    )
    in_steps = durations.in_steps(run, run.pace(epoch_examples))
    built = Engine(in_steps, meshes.make(devices, run.mesh), attention)
    built.definition.shardings(built.mesh)
    return built


@dataclasses.dataclass(frozen=True)
class Feed:
    """What feeds a run: its tokenizer and the rows of each split."""

    tokenizer: Tokenizer
    rows: dict[str, Rows]

    @property
    def epoch_examples(self) -> int:
        """Rows of the training split: so many examples are an epoch."""
        return len(self.rows["train"])

    def bytes_per_token(self, split: str) -> float:
        """Bytes of source text for each predicted token."""
        return self.rows[split].num_bytes / self.rows[split].num_tokens

    def cursor(self, examples: int) -> dict[str, Any]:
        """Where a run stands in its data: what a checkpoint keeps of it."""
        return {"examples": examples, "fingerprint": self.rows["train"].fingerprint}

    def facts(self) -> dict[str, Any]:
        """What is known of the data, for `config.json`."""
        return {
            f"data.{name}": {
                "documents": rows.store.num_documents,
                "rows": len(rows),
                "tokens": rows.num_tokens,
                "bytes": rows.num_bytes,
                "fingerprint": rows.fingerprint,
                "num_bad": rows.store.index.num_bad,
                "bad": rows.store.index.bad[:NAMED],
                "num_replaced": rows.store.index.num_replaced,
                "replaced": rows.store.index.replaced[:NAMED],
            }
            for name, rows in self.rows.items()
        }

    def warnings(self) -> Iterator[str]:
        """What is wrong with the text, one line for each split and fault."""
        for name, rows in self.rows.items():
            index = rows.store.index
            if index.num_bad:
                yield (
                    f"{name}: {index.num_bad:,} of {index.num_documents:,} records hold no text and count for nothing; "
                    f"the first: {'; '.join(index.bad[:NAMED])}"
                )
            if index.num_replaced:
                yield (
                    f"{name}: {index.num_replaced:,} of {index.num_documents:,} documents are not UTF-8 and lost the "
                    f"bytes that are not; the first: {'; '.join(index.replaced[:NAMED])}"
                )

    def train_batches(self, engine: Engine, *, start: int) -> Iterator[dict[str, jax.Array]]:
        """Global batches on the devices, from example `start` on, for ever."""
        run = engine.run
        size = run.train.batch_size
        with loader.train_batches(
            self.rows["train"],
            seed=run.seed,
            batch_size=size,
            row_range=meshes.local_rows(engine.mesh, size),
            start=start,
            workers=run.data.workers,
        ) as local:
            yield from map(partial(meshes.place_batch, engine.mesh, batch_size=size), local)

    def eval_batches(self, engine: Engine, evaluation: spec.Evaluation) -> Iterator[dict[str, jax.Array]]:
        """One pass over a split, the last batch filled up with rows of weight zero."""
        size = engine.run.eval_batch_size(evaluation)
        with loader.eval_batches(
            self.rows[evaluation.split], batch_size=size, row_range=meshes.local_rows(engine.mesh, size)
        ) as local:
            yield from map(partial(meshes.place_batch, engine.mesh, batch_size=size), local)


def feed(run: spec.Run, *, progress: Progress) -> Feed:
    """Reads, tokenizes and packs the data, or finds it in the cache.

    Raises:
      ValueError: files that match nothing, another fingerprint, an empty split.
    """
    data = run.data
    cache_dir = cache.directory(data.cache)
    source = sources.open_source(data, progress=progress)
    wanted = {"train"} | {evaluation.split for evaluation in run.eval.values()}
    parts = {name: splits.split(source, getattr(data, f"{name}_split"), by=data.split_by) for name in sorted(wanted)}
    text_tokenizer = tokenizer.load(data, train_source=parts["train"], progress=progress)

    def rows(part: Source) -> Rows:
        store = token_store.build(
            part,
            tokenizer=text_tokenizer,
            cache_dir=cache_dir,
            workers=data.prepare_workers,
            progress=progress,
        )
        return packing.plan_rows(store, seq_len=data.seq_len, packing=data.packing, cache_dir=cache_dir)

    return Feed(text_tokenizer, {name: rows(part) for name, part in parts.items()})


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
    constants: dict[str, Any] = {}  # the frozen inputs of an objective; a language model has none
    pace = run.pace(feed.epoch_examples)
    plan = Plan(
        num_steps=run.train.num_steps,
        batch_size=run.train.batch_size,
        tokens_per_step=run.train.batch_size * run.data.seq_len,
        log=pace.cadence(run.log),
        checkpoint=pace.cadence(run.checkpoint),
        max_skipped=run.guard.max_skipped,
    )
    evaluators = {
        name: Evaluator(
            cadence=pace.cadence(evaluation),
            split=evaluation.split,
            eval_step=engine.eval_step,
            batches=partial(feed.eval_batches, engine, evaluation),
            objective=run.objective,
            constants=constants,
            bytes_per_token=feed.bytes_per_token(evaluation.split),
        )
        for name, evaluation in run.eval.items()
    }
    return Loop(
        plan=plan,
        train_step=engine.train_step,
        batches=lambda start: feed.train_batches(engine, start=start),
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
