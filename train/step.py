"""The one training step: gradients of sums over micro-batches, one update, skipped when it is not finite."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from input_pipeline.transforms.mixing import Mixing
from train import keys, mixing
from train.ema import Ema
from train.objectives.objective import Objective, Sums
from train.optimizer import proximal
from train.parallel import rules
from train.parallel.placement import MeshPlacement
from train.state import Definition, State

Batch = Mapping[str, Array]


class Report(NamedTuple):
    """What one step tells: its sums, and how the update went."""

    sums: Sums
    grad_norm: Float[Array, ""]
    learning_rate: Float[Array, ""]
    is_finite: Bool[Array, ""]
    num_skipped: Int[Array, ""]  # since step 0
    zero_fraction: Float[Array, ""] | None = None  # of the weights under L1, where there are some


@dataclasses.dataclass(frozen=True)
class Step:
    """`step(state, batch, constants) -> (state, Report)`, to be jitted under `jax.set_mesh`."""

    definition: Definition
    objective: Objective
    optimizer: optax.GradientTransformation
    learning_rate: Callable[[Any], Array]  # of the optimizer's state
    placement: MeshPlacement
    seed: int
    accumulation: int
    ema: Ema = Ema()
    mixing: tuple[Mixing, ...] = ()
    num_classes: int = 0  # for `mixing`
    sparse: tuple[str, ...] = ()  # the parameters under L1

    @property
    def __name__(self) -> str:
        """What the compiled program is called, in traces and dumps."""
        return "train_step"

    def __call__(self, state: State, batch: Batch, constants: Any) -> tuple[State, Report]:
        keys_B = self._row_keys(keys.dropout(self.seed, state["step"]), batch)
        if self.mixing:
            mixing_keys_B = self._row_keys(keys.mixing(self.seed, state["step"]), batch)
            batch = mixing.apply(self.mixing, batch, mixing_keys_B, num_classes=self.num_classes)
        grads, sums, stats = self._gradients(state, {**batch, "keys": keys_B}, constants)
        count = jnp.where(sums.counts["loss"] > 0, sums.counts["loss"], 1)
        grads = jax.tree.map(lambda grad: grad / count, grads)
        grad_norm = optax.tree.norm(grads)
        is_finite = jnp.isfinite(grad_norm) & jnp.isfinite(sums.totals["loss"])
        for leaf in jax.tree.leaves(stats):  # infinite ones would stay so
            is_finite = is_finite & jnp.all(jnp.isfinite(leaf))

        updates, opt_state = self.optimizer.update(grads, state["opt_state"], state["params"])
        params = optax.apply_updates(state["params"], updates)
        new = {"params": params, "opt_state": opt_state}
        if stats:
            new["stats"] = stats
        if self.ema.decay:
            new["ema"] = self.ema.update(state["ema"], params, state["step"] - state["skipped"])
        kept = {name: state[name] for name in new}
        new = jax.tree.map(partial(jnp.where, is_finite), new, kept)
        counters = {"step": state["step"] + 1, "skipped": state["skipped"] + ~is_finite}
        rate = self.learning_rate(state["opt_state"])
        zeros = proximal.zero_fraction(new["params"], self.sparse) if self.sparse else None
        return {**counters, **new}, Report(sums, grad_norm, rate, is_finite, counters["skipped"], zeros)

    def _row_keys(self, key: Array, batch: Batch) -> Array:
        """A key for each row of the global batch, from (seed, step, row) alone."""
        num_rows = jax.tree.leaves(batch)[0].shape[0]
        rows_B = self.placement.activation(jnp.arange(num_rows), "B")
        return jax.vmap(partial(jax.random.fold_in, key))(rows_B)

    def _gradients(self, state: State, batch: Batch, constants: Any) -> tuple[State, Sums, State]:
        """The gradient of the loss's sum and all sums: what the whole batch gives, however many pieces it comes in.

        Running statistics take in the pieces one after another; each is normalised by its own.
        """
        params, stats = state["params"], state.get("stats", {})
        if self.accumulation == 1:
            return self._micro_gradients(params, stats, batch, constants)

        def add(carry, micro_batch):
            *before, stats = carry
            *these, stats = self._micro_gradients(params, stats, micro_batch, constants)
            return (*jax.tree.map(jnp.add, before, these), stats), None

        micro_batches = {name: self._cut(rows) for name, rows in batch.items()}
        first = {name: rows[0] for name, rows in micro_batches.items()}
        shapes = jax.eval_shape(lambda: self._micro_gradients(params, stats, first, constants)[:2])
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype, out_sharding=leaf.sharding), shapes)
        return jax.lax.scan(add, (*zeros, stats), micro_batches)[0]

    def _micro_gradients(self, params: State, stats: State, batch: Batch, constants: Any) -> tuple[State, Sums, State]:
        def loss(params):
            module = self.definition.module(params, stats)
            rows = {name: rows for name, rows in batch.items() if name != "keys"}
            sums = self.objective(partial(module, placement=self.placement), rows, batch["keys"], constants)
            return sums.totals["loss"], (sums, self.definition.stats(module))

        grads, (sums, new_stats) = jax.grad(loss, has_aux=True)(params)
        return grads, sums, new_stats

    def _cut(self, rows: Array) -> Array:
        """[B, ...] -> [accumulation, B / accumulation, ...], every piece spread over all devices."""
        num_rows = rows.shape[0] // self.accumulation
        spread = jax.P(rules.USED["batch"], *[None] * rows.ndim)
        pieces = jax.lax.reshape(rows, (num_rows, self.accumulation, *rows.shape[1:]), out_sharding=spread)
        return jnp.moveaxis(pieces, 1, 0)


@dataclasses.dataclass(frozen=True)
class EvalStep:
    """`step(params, stats, batch, constants) -> Sums`, without dropout; every host gets the rows of all."""

    definition: Definition
    objective: Objective
    placement: MeshPlacement

    @property
    def __name__(self) -> str:
        return "eval_step"

    def __call__(self, params: State, stats: State, batch: Batch, constants: Any) -> Sums:
        sums = self.objective(self.definition.bind(params, self.placement, stats=stats), batch, None, constants)
        return sums._replace(rows={name: self.placement.everywhere(rows) for name, rows in sums.rows.items()})
