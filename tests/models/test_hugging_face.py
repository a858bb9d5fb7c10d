"""Every family beside Hugging Face's: the same weights, the same logits, and as many parameters.

Needs packages that Meshwright does without: `pip install torch transformers`, in an environment of one's own, then
`pytest -m slow tests/models/test_hugging_face.py -s`. Nothing is downloaded: weights are random, shapes published.
"""

import sys

import jax
import numpy as np
import pytest
import vision as vits
from families import MODELS, make, rows, run
from flax import nnx

from configs import lm_families
from models import count
from models.vit import ViTConfig
from train import config_flags, spec

torch = pytest.importorskip("torch", reason="pip install torch transformers")
transformers = pytest.importorskip("transformers", reason="pip install torch transformers")

pytestmark = pytest.mark.slow
FAMILIES = {
    "gpt2": transformers.GPT2LMHeadModel,
    "llama3": transformers.LlamaForCausalLM,
    "mistral": transformers.MistralForCausalLM,
    "qwen3": transformers.Qwen3ForCausalLM,
    "gemma2": transformers.Gemma2ForCausalLM,
    "gemma3": transformers.Gemma3ForCausalLM,
}


def theirs(family: str, config):
    """Their config of our shape."""
    model = FAMILIES[family]
    if family == "gpt2":
        return model.config_class(
            n_layer=config.num_layers,
            n_embd=config.model_size,
            n_head=config.num_heads,
            n_inner=config.mlp_size,
            vocab_size=config.vocab_size,
            n_positions=config.max_length,
            attn_implementation="eager",
        )
    shape = dict(
        num_hidden_layers=config.num_layers,
        hidden_size=config.model_size,
        num_attention_heads=config.num_heads,
        num_key_value_heads=config.num_kv_heads,
        head_dim=config.head_size,
        intermediate_size=config.mlp_size,
        vocab_size=config.vocab_size,
        max_position_embeddings=config.max_length,
        rms_norm_eps=config.norm_epsilon,
        tie_word_embeddings=config.tie_embeddings,
        rope_parameters=rope(config.rope_theta, config.rope_scaling),
        attn_implementation="eager",
    )
    if family == "mistral":
        shape |= dict(sliding_window=config.windows[0])
    if family.startswith("gemma"):
        kinds = ["sliding_attention" if window else "full_attention" for window in config.layer_windows]
        shape |= dict(
            sliding_window=max(config.windows),
            layer_types=kinds,
            query_pre_attn_scalar=round(config.scoring.scale**-2),
            attn_logit_softcapping=config.attention_soft_cap or None,
            final_logit_softcapping=config.logit_soft_cap or None,
        )
    if family == "gemma3":
        near = {"rope_type": "default", "rope_theta": config.local_rope_theta}
        shape["rope_parameters"] = {"full_attention": shape["rope_parameters"], "sliding_attention": near}
        return transformers.Gemma3TextConfig(**shape)
    return model.config_class(**shape)


def rope(theta, scaling):
    if scaling.factor == 1:
        return {"rope_type": "default", "rope_theta": theta}
    if scaling.kind == "linear":
        return {"rope_type": "linear", "rope_theta": theta, "factor": scaling.factor}
    return {
        "rope_type": "llama3",
        "rope_theta": theta,
        "factor": scaling.factor,
        "low_freq_factor": scaling.low_freq_factor,
        "high_freq_factor": scaling.high_freq_factor,
        "original_max_position_embeddings": scaling.original_length,
    }


def gpt2_weights(params, layers):
    flat = lambda weight: weight.reshape(weight.shape[0], -1)
    yield "transformer.wte.weight", params["embed"]
    yield "transformer.wpe.weight", params["positions"]
    yield from vector("transformer.ln_f", params["final_norm"])
    for number, w in enumerate(layers):
        at, attention = f"transformer.h.{number}", w["attention"]
        parts = [attention[name] for name in ("query", "key", "value")]
        yield f"{at}.attn.c_attn.weight", np.concatenate([flat(part["kernel"]) for part in parts], axis=1)
        yield f"{at}.attn.c_attn.bias", np.concatenate([part["bias"].ravel() for part in parts])
        yield f"{at}.attn.c_proj.weight", attention["out"]["kernel"].reshape(-1, params["embed"].shape[1])
        yield f"{at}.attn.c_proj.bias", attention["out"]["bias"]
        yield from vector(f"{at}.ln_1", w["attention_norm"])
        yield from vector(f"{at}.ln_2", w["mlp_norm"])
        for their, our in (("c_fc", "up"), ("c_proj", "down")):
            yield f"{at}.mlp.{their}.weight", w["mlp"][our]["kernel"]
            yield f"{at}.mlp.{their}.bias", w["mlp"][our]["bias"]


def vector(name, norm):
    yield f"{name}.weight", norm["scale"]
    yield f"{name}.bias", norm["bias"]


NORMS = {"input_layernorm": "attention_norm", "post_attention_layernorm": "mlp_norm"}
GEMMA_NORMS = {
    "input_layernorm": "attention_norm",
    "post_attention_layernorm": "attention_post_norm",
    "pre_feedforward_layernorm": "mlp_norm",
    "post_feedforward_layernorm": "mlp_post_norm",
}


def llama_weights(params, layers, *, is_gemma):
    stored = lambda norm: norm["scale"] - 1 if is_gemma else norm["scale"]
    yield "model.embed_tokens.weight", params["embed"]
    yield "model.norm.weight", stored(params["final_norm"])
    if "head" in params:
        yield "lm_head.weight", params["head"].T
    for number, w in enumerate(layers):
        at, attention = f"model.layers.{number}", w["attention"]
        for their, our in (("q_proj", "query"), ("k_proj", "key"), ("v_proj", "value")):
            kernel = attention[our]["kernel"]
            yield f"{at}.self_attn.{their}.weight", kernel.reshape(kernel.shape[0], -1).T
        out = attention["out"]["kernel"]
        yield f"{at}.self_attn.o_proj.weight", out.reshape(-1, out.shape[-1]).T
        if "query_norm" in attention:
            yield f"{at}.self_attn.q_norm.weight", stored(attention["query_norm"])
            yield f"{at}.self_attn.k_norm.weight", stored(attention["key_norm"])
        yield f"{at}.mlp.gate_proj.weight", w["mlp"]["up"]["kernel"][:, 0].T
        yield f"{at}.mlp.up_proj.weight", w["mlp"]["up"]["kernel"][:, 1].T
        yield f"{at}.mlp.down_proj.weight", w["mlp"]["down"]["kernel"].T
        for their, our in (GEMMA_NORMS if is_gemma else NORMS).items():
            yield f"{at}.{their}.weight", stored(w[our])


def copy_weights(family, ours, model):
    """Our weights into their model; every one of theirs gets one."""
    params = jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(ours, nnx.Param)))
    layers = [
        jax.tree.map(lambda leaf, layer=layer: leaf[layer], params["layers"]) for layer in range(ours.config.num_layers)
    ]
    if family == "gpt2":
        weights = dict(gpt2_weights(params, layers))
    elif family == "vit":
        weights = dict(vit_weights(params, layers))
    else:
        weights = dict(llama_weights(params, layers, is_gemma=family.startswith("gemma")))
    tensors = {name: torch.from_numpy(np.array(weight)) for name, weight in weights.items()}
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    assert not unexpected
    assert set(missing) <= {"lm_head.weight"}, missing  # tied to the embedding


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_logits(family):
    config = MODELS[family]
    ours, inputs = make(config), rows(2, 16, config)
    assert max(config.windows) < 16
    model = FAMILIES[family](theirs(family, config)).eval()
    copy_weights(family, ours, model)
    with torch.no_grad():
        expected = model(torch.from_numpy(inputs["tokens_BL"])).logits.numpy()
    logits = np.asarray(run(ours, **inputs))
    print(
        f"{family}: greatest difference {np.abs(logits - expected).max():.1e}, logits to {np.abs(expected).max():.1f}"
    )
    np.testing.assert_allclose(logits, expected, atol=1e-4, rtol=0)
    assert expected.std() > 0.1


@pytest.mark.parametrize("name", lm_families.FAMILIES)
def test_as_many_parameters(name):
    run = spec.read(spec.complete(config_flags.load(f"configs/lm_families.py:{name}")))
    family = next(family for family in FAMILIES if name.startswith(family))
    with torch.device("meta"):
        model = FAMILIES[family](theirs(family, run.model))
    found = sum(parameter.numel() for parameter in model.parameters())
    print(f"{name}: {found:,}", file=sys.stderr)
    assert found == count.num_params(run.model)


def vit_weights(params, layers):
    flat = lambda weight: weight.reshape(weight.shape[0], -1).T
    kernel = params["patches"]["kernel"].reshape(4, 4, 3, -1)  # rows, columns, channels
    yield "vit.embeddings.patch_embeddings.projection.weight", np.transpose(kernel, (3, 2, 0, 1))
    yield "vit.embeddings.patch_embeddings.projection.bias", params["patches"]["bias"]
    yield "vit.embeddings.cls_token", params["tokens"][None]
    yield "vit.embeddings.position_embeddings", params["positions"][None]
    yield from vector("vit.layernorm", params["final_norm"])
    yield "classifier.weight", params["head"]["kernel"].T
    yield "classifier.bias", params["head"]["bias"]
    for number, w in enumerate(layers):
        at, attention, mlp = f"vit.layers.{number}", w["attention"], w["mlp"]
        for their, our in (("q_proj", "query"), ("k_proj", "key"), ("v_proj", "value")):
            yield f"{at}.attention.{their}.weight", flat(attention[our]["kernel"])
            yield f"{at}.attention.{their}.bias", attention[our]["bias"].ravel()
        out = attention["out"]["kernel"]
        yield f"{at}.attention.o_proj.weight", out.reshape(-1, out.shape[-1]).T
        yield f"{at}.attention.o_proj.bias", attention["out"]["bias"]
        for their, our in (("fc1", "up"), ("fc2", "down")):
            yield f"{at}.mlp.{their}.weight", mlp[our]["kernel"].T
            yield f"{at}.mlp.{their}.bias", mlp[our]["bias"]
        yield from vector(f"{at}.layernorm_before", w["attention_norm"])
        yield from vector(f"{at}.layernorm_after", w["mlp_norm"])


def test_vision_transformers_give_the_same_logits():
    sizes = dict(num_layers=2, model_size=32, num_heads=4, mlp_size=48, norm_epsilon=1e-12, num_outputs=5)
    ours = vits.make(ViTConfig(**sizes, patch_shape=(4, 4), input_shape=(8, 12, 3)))
    their_config = transformers.ViTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        layer_norm_eps=1e-12,
        image_size=(8, 12),
        patch_size=4,
        num_labels=5,
        attn_implementation="eager",
    )
    model = transformers.ViTForImageClassification(their_config).eval()
    copy_weights("vit", ours, model)
    images = vits.draw(ours.config)
    with torch.no_grad():
        expected = model(torch.from_numpy(np.moveaxis(images, -1, 1).copy())).logits.numpy()
    np.testing.assert_allclose(np.asarray(vits.run(ours, images)), expected, atol=1e-4, rtol=1e-4)
    assert expected.std() > 0.1
