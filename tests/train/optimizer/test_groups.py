"""Groups of parameters: rates and decays of their own, frozen ones, and what regexes find."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny_runs as runs

from train import config_flags, optimizer, overview, spec
from train.optimizer import AdamW, Sgd
from train.optimizer.groups import Group, assign
from train.optimizer.schedules import Schedule

PARAMS = {"embed": jnp.linspace(-1, 1, 6).reshape(3, 2), "layers": {"kernel": jnp.ones((2, 2)), "scale": jnp.ones(2)}}
AXES = {"embed": ("vocab", "embed"), "layers/kernel": ("embed", "mlp"), "layers/scale": ("norm",)}
GRADS = jax.tree.map(lambda leaf: jnp.cos(3 * leaf), PARAMS)
CONSTANT = Schedule(name="constant")


def update(spec):
    transformation = optimizer.make(spec, num_steps=10, axes=AXES)
    changes, state = jax.jit(lambda: transformation.update(GRADS, transformation.init(PARAMS), PARAMS))()
    return changes, state


def test_rates_and_decays_are_factors():
    """SGD's first update: rate * (gradient + decay * parameter), each with its group's factor."""
    groups = {"a": Group(params="^embed$", rate=0.1, decay=3.0), "b": Group(params="kernel|embed", rate=2.0, decay=0.0)}
    changes, _ = update(Sgd(learning_rate=0.5, weight_decay=0.2, clip_norm=0, schedule=CONSTANT, groups=groups))
    expected = {
        "embed": -0.5 * 0.1 * (GRADS["embed"] + 0.2 * 3 * PARAMS["embed"]),
        "layers": {"kernel": -0.5 * 2 * GRADS["layers"]["kernel"], "scale": -0.5 * GRADS["layers"]["scale"]},
    }
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), changes, expected)


def test_the_frozen_have_no_state_and_do_not_count_for_the_clipping():
    frozen = {"a": Group(params="embed|scale", rate=0.0)}
    changes, state = update(AdamW(learning_rate=0.5, clip_norm=0.5, schedule=CONSTANT, groups=frozen))
    alone = {"layers": {"kernel": PARAMS["layers"]["kernel"]}}
    expected = optax.chain(optax.clip_by_global_norm(0.5), optax.adamw(0.5, b2=0.95, weight_decay=0.1))
    found, _ = expected.update({"layers": {"kernel": GRADS["layers"]["kernel"]}}, expected.init(alone), alone)
    np.testing.assert_allclose(changes["layers"]["kernel"], found["layers"]["kernel"], rtol=1e-5)
    assert not np.any(changes["embed"])
    assert not np.any(changes["layers"]["scale"])
    assert sum(leaf.size for leaf in jax.tree.leaves(state.inner_state) if leaf.ndim) == 2 * 4


@pytest.mark.fast
def test_the_first_in_the_order_of_names_wins():
    groups = {"b": Group(params="kernel"), "a": Group(params="mlp")}
    names = ["mlp/kernel", "attention/kernel", "scale"]
    assert assign(groups, names) == {"mlp/kernel": "a", "attention/kernel": "b"}


@pytest.mark.fast
@pytest.mark.parametrize(
    ("groups", "says"),
    [
        ({"e": Group(params="embd")}, r"optimizer.groups.e.params: expected a regex that finds .* near it: embed"),
        (
            {"a": Group(params="."), "b": Group(params="embed")},
            r"optimizer.groups.b.params: expected parameters of its own, got 'embed', .* belong to a;",
        ),
    ],
)
def test_groups_that_hold_nothing(groups, says):
    with pytest.raises(ValueError, match=says):
        assign(groups, list(AXES))


@pytest.mark.fast
def test_from_a_config_and_the_command_line():
    config = runs.config(optimizer__groups={"embed": {"params": "^embed$", "rate": 0.5}})
    read = spec.read(config_flags.override(spec.complete(config), ["--config.optimizer.groups.embed.decay=0.0"]))
    assert read.optimizer.groups == {"embed": Group(params="^embed$", rate=0.5, decay=0.0)}
    with pytest.raises(ValueError, match=r"config.optimizer.groups.embed.rte: no such field; did you mean 'rate'"):
        config_flags.override(spec.complete(config), ["--config.optimizer.groups.embed.rte=1.0"])


@pytest.mark.fast
def test_what_a_run_says_at_its_start():
    spec = AdamW(groups={"tables": Group(params="embed", rate=0.1), "z": Group(params="scale", rate=0.0)})
    lines = overview.optimizer_lines(spec, PARAMS, AXES)
    assert lines[0].startswith("optimizer AdamW: learning_rate=0.001, ")
    assert lines[1:] == [
        "group tables: 1 arrays, 6 parameters, rate x 0.1, decay x 1",
        "group z: 1 arrays, 2 parameters, frozen",
        "in no group: 1 arrays, 4 parameters",
    ]
    lines = overview.optimizer_lines(AdamW(schedule=Schedule(name="constant", final=0.1)), PARAMS, AXES)
    assert lines[1:] == ["optimizer.schedule.final=0.1 is not read by the schedule constant"]
    lines = overview.optimizer_lines(optimizer.Muon(), PARAMS, AXES)
    assert lines[1:] == ["orthogonal updates (the others by AdamW): 1 arrays, 4 parameters"]
