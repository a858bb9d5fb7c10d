"""Every optimizer against optax's own or a published formula; hyperparameters as values; what regexes find."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny_runs as runs

from train import command_line, optimizer, spec
from train.optimizer import OPTIMIZERS, Adafactor, AdamW, Lion, Muon, Optimizer, RmsProp, Sgd
from train.optimizer.groups import Group
from train.optimizer.schedules import Schedule

PARAMS = {
    "layers": {"kernel": jnp.linspace(-1, 1, 12).reshape(3, 4), "bias": jnp.linspace(0, 1, 4)},
    "norm": {"scale": jnp.ones(4)},
}
AXES = {"layers/bias": ("mlp",), "layers/kernel": ("embed", "mlp"), "norm/scale": ("norm",)}
MASK = {"layers": {"kernel": True, "bias": False}, "norm": {"scale": False}}
CONSTANT = Schedule(name="constant")
RATE, DECAY = 0.01, 0.2
L2 = optax.add_decayed_weights(DECAY, MASK)
MUON = dict(weight_decay=DECAY, weight_decay_mask=MASK, adam_b2=0.95, consistent_rms=0.2)

# (name, fields besides rate and decay, what optax makes of the same numbers)
EQUALS = [
    ("adamw", {}, optax.adamw(RATE, b2=0.95, weight_decay=DECAY, mask=MASK)),
    ("adamw", dict(nesterov=True), optax.nadamw(RATE, b2=0.95, weight_decay=DECAY, mask=MASK)),
    ("adam", dict(second_momentum=0.9), optax.chain(L2, optax.adam(RATE, b2=0.9))),
    ("sgd", dict(momentum=0.8), optax.chain(L2, optax.sgd(RATE, 0.8))),
    ("sgd", dict(nesterov=True), optax.chain(L2, optax.sgd(RATE, 0.9, nesterov=True))),
    ("rmsprop", {}, optax.chain(L2, optax.rmsprop(RATE, 0.99, eps_in_sqrt=False))),
    (
        "rmsprop",
        dict(centred=True, momentum=0.7, second_momentum=0.8, nesterov=True),
        optax.chain(L2, optax.rmsprop(RATE, 0.8, eps_in_sqrt=False, centered=True, momentum=0.7, nesterov=True)),
    ),
    ("lion", {}, optax.lion(RATE, weight_decay=DECAY, mask=MASK)),
    (
        "adafactor",
        dict(min_size_to_factor=3, momentum=0.6),
        optax.adafactor(
            RATE, min_dim_size_to_factor=3, momentum=0.6, weight_decay_rate=RATE * DECAY, weight_decay_mask=MASK
        ),
    ),
    (
        "adafactor",
        dict(update_clip=0.0, scale_by_size=False, decay_power=0.5),
        optax.adafactor(
            RATE,
            decay_rate=0.5,
            multiply_by_parameter_scale=False,
            clipping_threshold=None,
            weight_decay_rate=RATE * DECAY,
            weight_decay_mask=MASK,
        ),
    ),
    # Without Nesterov momentum optax's correction of the young mean falls out: a matrix is normalised.
    ("muon", dict(nesterov=False), optax.contrib.muon(RATE, nesterov=False, **MUON)),
]


def make(spec: Optimizer, num_steps: int = 10):
    return optimizer.make(spec, num_steps=num_steps, axes=AXES)


def gradients(step: int):
    return jax.tree.map(lambda leaf: np.cos(np.asarray(leaf) * 7 + step) * np.float32(3), PARAMS)


def train(transformation, num_updates: int = 4):
    @jax.jit
    def step(grads, state, params):
        changes, state = transformation.update(grads, state, params)
        return state, optax.apply_updates(params, changes)

    params, state = PARAMS, jax.jit(transformation.init)(PARAMS)
    for index in range(num_updates):
        state, params = step(gradients(index), state, params)
    return params


def same(one, other, **tolerance):
    close = lambda a, b: np.testing.assert_allclose(a, b, **{"rtol": 1e-5, "atol": 1e-7, **tolerance})
    jax.tree.map(close, one, other)


@pytest.mark.parametrize(("name", "fields", "expected"), EQUALS, ids=lambda value: str(value)[:30])
def test_each_equals_optax(name, fields, expected):
    spec = OPTIMIZERS[name](learning_rate=RATE, weight_decay=DECAY, schedule=CONSTANT, clip_norm=0.5, **fields)
    expected = optax.chain(optax.clip_by_global_norm(0.5), expected)
    same(train(make(spec)), train(expected), rtol=1e-4 if name == "muon" else 1e-5)


def test_each_is_compared():
    assert {name for name, *_ in EQUALS} == set(OPTIMIZERS)


def test_sgd_equals_pytorchs_formula():
    """v = momentum * v + (g + decay * p); p = p - rate * v (torch.optim.SGD's documentation)."""
    spec = Sgd(learning_rate=0.01, weight_decay=0.1, momentum=0.8, clip_norm=0, schedule=CONSTANT, decay_mask=".")
    params, velocity = PARAMS, jax.tree.map(jnp.zeros_like, PARAMS)
    for step in range(4):
        velocity = jax.tree.map(lambda v, g, p: 0.8 * v + g + 0.1 * p, velocity, gradients(step), params)
        params = jax.tree.map(lambda p, v: p - 0.01 * v, params, velocity)
    same(train(make(spec)), params)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_schedule_scales_the_rate(name):
    schedule = Schedule(warmup_steps=3, final=0.1)
    spec = OPTIMIZERS[name](learning_rate=0.5, schedule=schedule, weight_decay=0.0)
    scheduled = make(spec)
    flat = make(OPTIMIZERS[name](learning_rate=0.5, schedule=CONSTANT, weight_decay=0.0))
    state, flat_state = jax.jit(scheduled.init)(PARAMS), jax.jit(flat.init)(PARAMS)
    update, flat_update = jax.jit(scheduled.update), jax.jit(flat.update)
    shares = np.asarray(schedule.shape(10)(jnp.arange(5)))
    rate_of = jax.jit(lambda state: optimizer.learning_rate(spec, state, num_steps=10))
    for step in range(5):
        rate = np.asarray(rate_of(state))
        assert rate == pytest.approx(0.5 * shares[step])
        changes, state = update(gradients(step), state, PARAMS)
        flat_changes, flat_state = flat_update(gradients(step), flat_state, PARAMS)
        same(changes, jax.tree.map(lambda change, rate=rate: np.asarray(change) * rate / 0.5, flat_changes))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_number_is_a_value_of_the_state(name):
    """Each float field, changed in the state, gives what it gives in a config, without compiling again."""
    fields = dict(schedule=CONSTANT, momentum=0.5, l1=0.1, groups={"n": Group(params="norm", rate=0.5)})
    before = OPTIMIZERS[name](learning_rate=0.03, weight_decay=0.1, **fields)
    changed = {field: value * 0.9 for field, value in before.floats.items() if isinstance(value, float)}
    after = OPTIMIZERS[name](**{**fields, **changed, "groups": {"n": Group(params="norm", rate=0.7, decay=0.4)}})
    update = jax.jit(make(before).update)
    state = jax.device_put(jax.jit(make(before).init)(PARAMS), jax.devices()[0])
    _, state = update(gradients(0), state, PARAMS)
    fresh_state = jax.jit(make(after).init)(PARAMS)._replace(inner_state=state.inner_state)
    found, _ = update(gradients(1), optimizer.with_hyperparameters(state, after), PARAMS)
    assert update._cache_size() == 1
    same(found, jax.jit(make(after).update)(gradients(1), fresh_state, PARAMS)[0])
    assert float(jnp.abs(found["norm"]["scale"] - update(gradients(1), state, PARAMS)[0]["norm"]["scale"]).max()) > 1e-5


def test_memory():
    """RMSProp and Adafactor keep nothing for a momentum of zero; Adafactor keeps rows and columns of large matrices."""
    size = lambda spec: sum(
        leaf.size for leaf in jax.tree.leaves(jax.eval_shape(make(spec).init, PARAMS).inner_state) if leaf.ndim
    )
    num_params = sum(leaf.size for leaf in jax.tree.leaves(PARAMS))
    assert size(AdamW()) == 2 * num_params
    assert size(Lion()) == size(RmsProp()) == size(Adafactor()) == num_params
    assert size(RmsProp(momentum=0.5)) == size(Adafactor(momentum=0.5)) == 2 * num_params
    assert size(Adafactor(min_size_to_factor=3)) == num_params - 12 + 3 + 4
    assert size(Muon()) == 12 + 2 * (num_params - 12)


@pytest.mark.parametrize(
    ("name", "fields", "says"),
    [
        ("adamw", dict(learning_rate=-1.0), "optimizer.learning_rate: expected 0 or more"),
        ("adamw", dict(momentum=1.0), r"optimizer.momentum: expected a number in \[0, 1\)"),
        ("muon", dict(adam_momentum=-0.1), r"optimizer.adam_momentum: expected a number in \[0, 1\)"),
        ("muon", dict(steps=0), "optimizer.steps: expected 1 or more, got 0"),
        ("adafactor", dict(update_clip=-1.0), "optimizer.update_clip: expected 0 or more, got -1"),
        ("adamw", dict(epsilon=0.0), "optimizer.epsilon: expected a number above 0"),
        ("sgd", dict(decay_mask="("), "optimizer.decay_mask: expected a regex"),
        ("sgd", dict(groups={"a": Group(params="(")}), "optimizer.groups.a.params: expected a regex"),
        ("sgd", dict(groups={"a": Group(params="a", rate=-1.0)}), "optimizer.groups.a.rate: expected 0 or"),
    ],
)
def test_wrong_optimizers(name, fields, says):
    with pytest.raises(ValueError, match=says):
        OPTIMIZERS[name](**fields)


def test_a_mask_that_finds_nothing():
    with pytest.raises(ValueError, match=r"optimizer.decay_mask: expected a regex that finds .*, got 'kernal\$'"):
        make(AdamW(decay_mask="kernal$"))


@pytest.mark.fast
def test_a_field_that_an_optimizer_does_not_read_cannot_be_set():
    config = runs.config(optimizer__name="sgd")
    config["optimizer"]["second_momentum"] = 0.99
    with pytest.raises(ValueError, match=r"optimizer.second_momentum: no such field; did you mean 'momentum'"):
        spec.read(config)


@pytest.mark.fast
def test_another_name_on_the_command_line():
    """What the file set goes along, what stood at a default does not, and what falls away is told."""
    config = {"optimizer": {"name": "adamw", "learning_rate": 0.5, "momentum": 0.9, "second_momentum": 0.98}}
    switch = lambda name: command_line.choose_names(config, [f"--config.optimizer.name={name}"])
    lion = {"name": "lion", "learning_rate": 0.5, "second_momentum": 0.98}
    assert switch("lion") == ({"optimizer": lion}, [])
    left_out = "optimizer.second_momentum=0.98 (file) is left out: sgd has no such field"
    assert switch("sgd") == ({"optimizer": {"name": "sgd", "learning_rate": 0.5}}, [left_out])
    path = f"--config={runs.CONFIGS / 'lm_tiny.py'}:tiny"
    whole, _ = command_line.parse([path, "--config.optimizer.name=muon", "--config.optimizer.steps=3"])
    read = spec.read(whole).optimizer
    assert isinstance(read, Muon)
    assert (read.steps, read.momentum, read.learning_rate) == (3, 0.95, 0.004)
    with pytest.raises(ValueError, match=r"optimizer.name: expected one of adamw, .*, got 'lino'; did you mean 'lion'"):
        command_line.parse([path, "--config.optimizer.name=lino"])
