"""Splash attention, interpreted, beside the plain form; and which of them a run takes."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_runs as runs

from models.layers.attention import Scoring, attend
from train.parallel import attention, rules
from train.parallel import mesh as meshes
from train.parallel.mesh import MeshShape

LENGTH, HEAD_SIZE = 256, 64
GEMMA = Scoring(scale=0.3, soft_cap=2.0, windows=(0, 100))
LLAMA = Scoring(scale=HEAD_SIZE**-0.5)
VIT = Scoring(scale=HEAD_SIZE**-0.5, causal=False)


def arrays():
    """Queries of two heads for each of two keys, and rows of documents that end anywhere."""
    rng = np.random.default_rng(0)
    q_BLKGH, k_BSKH, v_BSKH = (
        rng.normal(size=(2, LENGTH, 2, *group, HEAD_SIZE)).astype(np.float32) for group in ((2,), (), ())
    )
    segments_BL = np.array([np.arange(LENGTH) // 150, np.arange(LENGTH) // 70], np.int32)
    return q_BLKGH, k_BSKH, v_BSKH, segments_BL


@pytest.mark.parametrize(("scoring", "window"), [(LLAMA, 0), (GEMMA, 100), (GEMMA, 0), (VIT, 0)])
def test_splash_equals_the_plain_form_forward_and_back(scoring, window):
    *qkv, segments_BL = arrays()
    if not scoring.causal:
        segments_BL = None  # a row is one image
    mesh = meshes.make(jax.devices()[:4], MeshShape(data=1, fsdp=2, tensor=2))
    weights = np.random.default_rng(1).normal(size=qkv[0].shape).astype(np.float32)

    def value_and_grads(form):
        def weighed(qkv, segments_BL, window, weights):
            mixed = form(*qkv, scoring=scoring, window=window, segments_BL=segments_BL)
            return jnp.sum(mixed * weights), mixed

        return jax.jit(jax.grad(weighed, has_aux=True))

    expected = value_and_grads(partial(attend, offset_B=None))(qkv, segments_BL, window, weights)
    with jax.set_mesh(mesh):
        place = lambda x, letters: jax.device_put(x, jax.NamedSharding(mesh, rules.used(letters)))
        placed = [place(x, letters) for x, letters in zip(qkv, ("BLKGH", "BSKH", "BSKH"), strict=True)]
        splash = value_and_grads(partial(attention.splash, interpret=True))
        placed_BL = None if segments_BL is None else place(segments_BL, "BL")
        found = splash(placed, placed_BL, window, place(weights, "BLKGH"))
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=5e-5), found, tuple(expected))


SHAPES = dict(platform="tpu", shape=(256, 128), softmax_dtype="float32")


@pytest.mark.fast
def test_auto_takes_splash_on_tpus_where_the_shapes_allow_it():
    assert attention.choose("auto", **SHAPES).name == "splash"
    assert attention.choose("plain", **SHAPES).name == "plain"


@pytest.mark.fast
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (dict(platform="cpu"), "the devices are of kind cpu, not tpu"),
        (dict(shape=None), "the model has none"),
        (dict(shape=(200, 128)), "its 200 positions are no multiple of 128"),
        (dict(shape=(256, 80)), "model.head_size=80 is none of 64, 128, 256"),
        (dict(softmax_dtype="bfloat16"), "its softmax runs in float32, and precision.softmax=bfloat16"),
    ],
)
def test_what_stands_in_the_way_of_splash(change, why):
    assert attention.choose("auto", **{**SHAPES, **change}) == ("plain", why)
    with pytest.raises(ValueError, match=f"kernels.attention: 'splash' cannot be, {why}; write 'auto' or 'plain'"):
        attention.choose("splash", **{**SHAPES, **change})


@pytest.mark.fast
def test_a_run_is_told_that_splash_cannot_be():
    assert runs.engine().attention == ("plain", "the devices are of kind cpu, not tpu")
    with pytest.raises(ValueError, match=r"kernels.attention: 'splash' cannot be, the devices are of kind cpu"):
        runs.engine(kernels__attention="splash")
    with pytest.raises(ValueError, match=r"kernels.attention: expected one of auto, plain, splash, got 'flash'"):
        runs.engine(kernels__attention="flash")
