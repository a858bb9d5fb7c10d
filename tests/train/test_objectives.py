"""What every objective keeps to: masks, pieces of a batch, finite gradients, meshes, the rows of evaluations.

Each entry of `OBJECTIVES` runs through the same tests, on the least model and random batches; `lm` on the smallest
Transformer, whose pieces and meshes test_step.py and test_parallel.py have.
"""

import functools

import jax
import numpy as np
import pytest
import tiny_runs as runs
from sklearn import metrics as oracle
from sklearn.neighbors import NearestNeighbors

from train import experiment, spec
from train.objectives import OBJECTIVES
from train.objectives.objective import Context

BATCH_SIZE, NUM_FEATURES = 16, 6
CLASSES = dict(labels="class", num_classes=3)
ENTRIES = [
    ("lm", {}, dict(z_loss=1e-3)),
    ("classify", CLASSES, {}),
    ("classify", CLASSES, dict(class_weights=(0.01, 0.02, 0.005), focal_gamma=2.0, label_smoothing=0.1, z_loss=0.01)),
    ("multilabel", dict(labels="classes", num_classes=3), dict(label_smoothing=0.1)),
    ("multilabel", dict(labels="class", num_classes=2), dict(positive_weights=(3.0,), focal_gamma=2.0)),
    ("regress", dict(labels="numbers", num_targets=2), {}),
    ("regress", dict(labels="numbers", num_targets=1), dict(loss="mae", target_mean=(5.0,), target_std=(2.0,))),
    ("regress", dict(labels="numbers", num_targets=2), dict(loss="huber", delta=0.3)),
    ("triplet", CLASSES, dict(embedding_size=4)),
    ("triplet", CLASSES, dict(embedding_size=4, mining="semi_hard", squared=True)),
    ("triplet", CLASSES, dict(embedding_size=4, unit_length=False, soft_margin=True, margin=0.0)),
]
EXAMPLES = ENTRIES[1:]
SUMS = [entry for entry in EXAMPLES if not OBJECTIVES[entry[0]].whole_batch]
each = functools.partial(pytest.mark.parametrize, "entry", ids=lambda entry: f"{entry[0]} {entry[2] or ''}")


def config(entry, *, mesh=(1, 1, 1), **train):
    name, data, objective = entry
    return {
        "data": {"modality": "table", "source": "synthetic", "kind": "sequences", "shape": (NUM_FEATURES,), **data},
        "model": {"name": "linear:Linear"},
        "objective": {"name": name, **objective},
        "optimizer": {"name": "sgd", "learning_rate": 0.1},
        "train": {"num_steps": 10, "batch_size": BATCH_SIZE, **train},
        "mesh": dict(zip(("data", "fsdp", "tensor"), mesh, strict=True)),
    }


@functools.cache
def engine(index, *, mesh=(1, 1, 1), accumulation=1):
    entry = ENTRIES[index]
    num_devices = int(np.prod(mesh))
    if entry[0] == "lm":
        sizes = dict(zip(("mesh__data", "mesh__fsdp", "mesh__tensor"), mesh, strict=True))
        more = dict(optimizer__name="sgd", train__batch_size=BATCH_SIZE, train__accumulation=accumulation)
        return runs.engine(num_devices=num_devices, model__num_layers=1, data__seq_len=16, **sizes, **more)
    run = spec.read(config(entry, mesh=mesh, accumulation=accumulation))
    return experiment.engine(run, jax.devices()[:num_devices])


def of(entry, **where):
    return engine(ENTRIES.index(entry), **where)


def host_batch(engine):
    """Random examples; the last three rows count nothing."""
    if engine.run.data.modality == "text":
        batch = runs.host_batch(engine)
        batch["weights"][-3:] = 0
        return batch
    data, rng = engine.run.data, np.random.default_rng(0)
    labels = {
        "class": lambda: rng.integers(0, data.num_classes, BATCH_SIZE).astype(np.int32),
        "classes": lambda: (rng.random((BATCH_SIZE, data.num_classes)) > 0.6).astype(np.float32),
        "numbers": lambda: rng.normal(5, 2, (BATCH_SIZE, data.num_targets)).astype(np.float32),
    }
    weights = np.ones(BATCH_SIZE, np.float32)
    weights[-3:] = 0
    inputs = rng.normal(size=(BATCH_SIZE, NUM_FEATURES)).astype(np.float32)
    return {"inputs": inputs, "labels": labels[data.labels](), "weights": weights}


def step(engine, batch):
    """-> (parameters after a step, its report)."""
    with jax.set_mesh(engine.mesh):
        state, report = engine.train_step(engine.fresh_state(), runs.place(engine, batch), {})
        return jax.device_get(state["params"]), jax.device_get(report)


def evaluate(engine, batch):
    with jax.set_mesh(engine.mesh):
        params = engine.fresh_state()["params"]
        return jax.device_get(engine.eval_step(params, {}, runs.place(engine, batch), {}))


@functools.cache
def expected(index):
    """What the other ways to compute a step have to give: one device, one piece."""
    return step(engine(index), host_batch(engine(index)))


def same(one, other, **tolerance):
    close = lambda a, b: np.testing.assert_allclose(a, b, **{"rtol": 1e-5, "atol": 2e-6, **tolerance})
    jax.tree.map(close, one, other)


def assert_same_step(found, entry):
    params, report = expected(ENTRIES.index(entry))
    same(found[0], params)
    same(found[1].sums, report.sums, rtol=1e-4)
    same(found[1].grad_norm, report.grad_norm, rtol=1e-4)


def test_each_has_an_entry():
    assert {name for name, *_ in ENTRIES} == set(OBJECTIVES)


@each(argvalues=ENTRIES)
def test_a_step_is_finite_and_moves(entry):
    _, report = expected(ENTRIES.index(entry))
    assert report.is_finite
    assert report.grad_norm > 1e-4
    assert report.sums.rows == {}
    assert set(report.sums.totals) == set(report.sums.counts)


@each(argvalues=ENTRIES)
def test_rows_of_weight_zero_change_nothing(entry):
    engine = of(entry)
    batch = host_batch(engine)
    filled = dict(batch)
    for name in ("inputs", "labels", "tokens", "targets"):
        if name in batch:
            filled[name] = np.concatenate([batch[name][:-3], batch[name][:3]])
    assert any((filled[name] != batch[name]).any() for name in batch)
    assert_same_step(step(engine, filled), entry)
    empty = step(engine, {**batch, "weights": np.zeros_like(batch["weights"])})[1]
    assert empty.is_finite
    assert empty.grad_norm == 0


@each(argvalues=SUMS)
def test_pieces_of_a_batch_give_the_same_step(entry):
    """Also where a piece counts less than one, as the weights of classes make it."""
    engine = of(entry, accumulation=4)
    assert_same_step(step(engine, host_batch(engine)), entry)


@pytest.mark.parametrize("mesh", [(8, 1, 1), (2, 2, 2)], ids=str)
@each(argvalues=EXAMPLES)
def test_on_a_mesh_a_step_is_the_same(entry, mesh):
    engine = of(entry, mesh=mesh)
    assert_same_step(step(engine, host_batch(engine)), entry)


@each(argvalues=ENTRIES)
def test_a_mean_is_over_what_counts(entry):
    """The step divides by the count: doubled weights double both sums, and the gradient stays."""
    engine = of(entry)
    batch = host_batch(engine)
    found = step(engine, {**batch, "weights": 2 * batch["weights"]})
    params, report = expected(ENTRIES.index(entry))
    same(found[0], params)
    same(found[1].sums, jax.tree.map(lambda total: 2 * total, report.sums))


@each(argvalues=ENTRIES)
def test_evaluations_keep_rows_and_give_metrics(entry):
    one = of(entry)
    batch = host_batch(one)
    found = evaluate(one, batch)
    values = {name: metric.compute() for name, metric in one.run.objective.metrics(found, Context(3.0)).items()}
    assert np.isfinite(list(values.values())).all()
    assert "loss" in values
    if entry in EXAMPLES:
        same(evaluate(of(entry, mesh=(2, 2, 2)), batch), found, rtol=1e-4)
        outputs = "embeddings" if entry[0] == "triplet" else "scores"
        assert set(found.rows) == {outputs, "labels", "weights"}
        is_binary = entry == ENTRIES[4]  # one output, told as two
        assert found.rows[outputs].shape == (BATCH_SIZE, 2 if is_binary else one.run.model.num_outputs)
        np.testing.assert_array_equal(found.rows["labels"], batch["labels"])


@each(argvalues=EXAMPLES)
def test_metrics_equal_scikit_learn(entry):
    engine = of(entry)
    found = evaluate(engine, host_batch(engine))
    counted = {name: rows[found.rows["weights"] > 0].astype(np.float64) for name, rows in found.rows.items()}
    values = {name: metric.compute() for name, metric in engine.run.objective.metrics(found, Context()).items()}
    expected = ORACLES[entry[0]](counted.get("scores", counted.get("embeddings")), counted["labels"])
    same({name: values[name] for name in expected}, expected)


def softmax_oracle(scores, labels):
    p = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    return {"loss": oracle.log_loss(labels, p), "accuracy": oracle.accuracy_score(labels, p.argmax(-1))}


def sigmoid_oracle(scores, labels):
    if labels.ndim == 1:
        return softmax_oracle(scores, labels)
    p = 1 / (1 + np.exp(-scores))
    return {"loss": oracle.log_loss(labels.ravel(), p.ravel()), "accuracy": oracle.accuracy_score(labels, p > 0.5)}


def regression_oracle(scores, labels):
    return {"mse": oracle.mean_squared_error(labels, scores), "mae": oracle.mean_absolute_error(labels, scores)}


def neighbours_oracle(embeddings, labels):
    nearest = NearestNeighbors(n_neighbors=1).fit(embeddings).kneighbors(return_distance=False)[:, 0]
    return {"recall_at_1": np.mean(labels[nearest] == labels)}


ORACLES = {
    "classify": softmax_oracle,
    "multilabel": sigmoid_oracle,
    "regress": regression_oracle,
    "triplet": neighbours_oracle,
}


def test_standardised_targets():
    """The model predicts standard deviations; the metrics and scores are in the targets' own units."""
    plain, standard = of(ENTRIES[5]), of(ENTRIES[6])
    batch = host_batch(standard)
    kernel = evaluate(plain, host_batch(plain)).rows["scores"]
    assert kernel.shape == (BATCH_SIZE, 2)
    found = evaluate(standard, batch)
    scores = found.rows["scores"]
    loss = np.abs((scores - batch["labels"]) / 2).mean(-1)[:-3].sum()
    assert float(found.totals["loss"]) == pytest.approx(loss, rel=1e-5)
    with jax.set_mesh(standard.mesh):
        params = jax.device_get(standard.fresh_state()["params"])
    np.testing.assert_allclose(scores, (batch["inputs"] @ params["kernel"]) * 2 + 5, rtol=1e-5, atol=1e-5)


def test_mixed_classes():
    """What mixup makes of labels: shares of classes; with two classes and one output, the share of the second."""
    for entry in (ENTRIES[2], ENTRIES[4]):
        engine = of(entry)
        batch = host_batch(engine)
        certain = {**batch, "labels": np.eye(engine.run.data.num_classes, dtype=np.float32)[batch["labels"]]}
        assert_same_step(step(engine, certain), entry)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("entry", "changes", "says"),
    [
        (ENTRIES[8], dict(accumulation=2), "train.accumulation: expected 1, since the objective compares all rows"),
        (ENTRIES[8], dict(transforms="batch|mixup(0.2)"), "data.transforms: expected no mixing of rows, since"),
        (ENTRIES[8], dict(mining="hard"), "objective.mining: expected one of batch_hard, semi_hard, got 'hard'"),
        (ENTRIES[8], dict(embedding_size=0), "objective.embedding_size: expected 1 or more, got 0"),
        (
            ENTRIES[1],
            dict(class_weights=(1.0, 2.0)),
            "objective.class_weights: expected a number above 0 for each of 3",
        ),
        (ENTRIES[1], dict(label_smoothing=1.0), r"objective.label_smoothing: expected a share in \[0, 1\), got 1.0"),
        (ENTRIES[1], dict(focal_gamma=-1.0), "objective.focal_gamma: expected 0 or more, got -1.0"),
        (ENTRIES[1], dict(labels="classes"), "data.labels: expected 'class', which objective.name='classify' reads"),
        (ENTRIES[4], dict(num_classes=4), "data.num_classes: expected 2, which objective.name='multilabel' tells"),
        (
            ENTRIES[3],
            dict(positive_weights=(1.0,)),
            "objective.positive_weights: expected a number above 0 for each of",
        ),
        (ENTRIES[5], dict(loss="rmse"), "objective.loss: expected one of mse, mae, huber, got 'rmse'"),
        (ENTRIES[5], dict(delta=2.0), "objective.delta: expected a number above 0, and loss='huber', got 2.0"),
        (
            ENTRIES[5],
            dict(target_mean=(1.0,)),
            r"objective.target_std: expected as many numbers as target_mean=\(1.0,\)",
        ),
        (ENTRIES[5], dict(target_mean=(1.0,), target_std=(0.0,)), "objective.target_std: expected a number above 0"),
    ],
)
def test_wrong_objectives(entry, changes, says):
    made = config(entry)
    for field, value in changes.items():
        section = "train" if field == "accumulation" else "data" if field in DATA_FIELDS else "objective"
        made[section][field] = value
    with pytest.raises(ValueError, match=says):
        spec.read(made)


DATA_FIELDS = ("labels", "num_classes", "transforms")
