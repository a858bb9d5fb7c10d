"""Published families of language models, by their shapes: `lm_families.py:gemma3_1b`, and `:gemma3_1b,tiny`.

python -m train --config=configs/lm_families.py:qwen3_0_6b --workdir=runs/a --config.data.files='corpus/*.txt'

Shapes and rotary bases are the published ones, the tokenizer is fitted on your own text with as many ids (or write
--config.data.tokenizer=path/to/tokenizer.json). Rates and batch are plain choices, not the publishers'.
"""

from ml_collections import ConfigDict

from configs import common

LLAMA = dict(norm_epsilon=1e-5, rope_theta=500_000.0)
QWEN3 = dict(norm_epsilon=1e-6, rope_theta=1_000_000.0, head_size=128, qk_norm=True)
GEMMA = dict(norm_epsilon=1e-6, activation="geglu", head_size=256, post_norms=True, scale_embeddings=True)
GEMMA2 = dict(GEMMA, windows=(4096, 0), attention_soft_cap=50.0, logit_soft_cap=30.0)
GEMMA3 = dict(GEMMA, qk_norm=True, rope_theta=1_000_000.0, local_rope_theta=10_000.0)


def five_to_one(window: int) -> tuple[int, ...]:
    """Five layers with a window, then one that sees everything."""
    return (window,) * 5 + (0,)


# Name -> (ids of the tokenizer, model).
FAMILIES = {
    "gpt2": (
        50257,
        dict(
            num_layers=12,
            model_size=768,
            num_heads=12,
            num_kv_heads=12,
            mlp_size=3072,
            norm="layer",
            positions="learned",
            activation="gelu",
            use_bias=True,
        ),
    ),
    "llama3_1b": (
        128256,
        dict(
            LLAMA,
            num_layers=16,
            model_size=2048,
            num_heads=32,
            num_kv_heads=8,
            mlp_size=8192,
            rope_scaling=dict(factor=32.0),
        ),
    ),
    "mistral_7b": (
        32000,
        dict(
            num_layers=32,
            model_size=4096,
            num_heads=32,
            num_kv_heads=8,
            mlp_size=14336,
            windows=(4096,),
            tie_embeddings=False,
        ),
    ),
    "qwen3_0_6b": (
        151936,
        dict(QWEN3, num_layers=28, model_size=1024, num_heads=16, num_kv_heads=8, mlp_size=3072),
    ),
    "qwen3_8b": (
        151936,
        dict(QWEN3, num_layers=36, model_size=4096, num_heads=32, num_kv_heads=8, mlp_size=12288, tie_embeddings=False),
    ),
    "gemma2_2b": (
        256000,
        dict(GEMMA2, num_layers=26, model_size=2304, num_heads=8, num_kv_heads=4, mlp_size=9216),
    ),
    "gemma2_27b": (
        256000,
        dict(
            GEMMA2,
            num_layers=46,
            model_size=4608,
            num_heads=32,
            num_kv_heads=16,
            mlp_size=36864,
            head_size=128,
            query_scale=144**-0.5,
        ),
    ),
    "gemma3_1b": (
        262144,
        dict(
            GEMMA3,
            num_layers=26,
            model_size=1152,
            num_heads=4,
            num_kv_heads=1,
            mlp_size=6912,
            windows=five_to_one(512),
        ),
    ),
    "gemma3_4b": (
        262144,
        dict(
            GEMMA3,
            num_layers=34,
            model_size=2560,
            num_heads=8,
            num_kv_heads=4,
            mlp_size=10240,
            windows=five_to_one(1024),
            rope_scaling=dict(kind="linear", factor=8.0),
        ),
    ),
}


def get_config(arg: str = "") -> ConfigDict:
    """A family's name (none: qwen3_0_6b), `tiny`, or both with a comma between them."""
    name, _, tiny = arg.partition(",")
    if arg in ("", "tiny"):
        name, tiny = "qwen3_0_6b", arg
    if name not in FAMILIES or tiny not in ("", "tiny"):
        common.refuse("lm_families.py", arg, *FAMILIES)
    num_ids, model = FAMILIES[name]
    config = common.make(
        seed=0,
        data=dict(
            source="files",
            files="corpus/*.txt",
            tokenizer=f"bpe:{num_ids}",
            seq_len=1024 if name == "gpt2" else 8192,
            train_split="train[:99%]",
            val_split="train[99%:]",
        ),
        model=dict(model, name="transformer"),
        objective=dict(name="lm", z_loss=1e-4),
        train=dict(num_steps=10_000, batch_size=256),
        optimizer=dict(
            name="adamw",
            learning_rate=3e-4,
            weight_decay=0.1,
            schedule=dict(name="cosine", warmup_steps=500, final=0.1),
        ),
        mesh=dict(data=1, fsdp=-1),
        precision=dict(params="float32", compute="bfloat16"),
        remat=dict(policy="full"),
        eval=dict(val=dict(split="val", every=1000)),
        checkpoint=dict(every=500, keep_last=2),
        log=dict(every=10),
        sample=dict(num_tokens=100),
    )
    return common.shrink(config) if tiny else config
