"""Llama 3 8B in its published shape (https://arxiv.org/abs/2407.21783, table 3), 8,192 tokens a row.

python -m train --config=configs/llama3_8b.py --workdir=runs/llama3 --config.data.files='corpus/*.txt'

The tokenizer is fitted on your own text with as many ids; --config.data.tokenizer=path/to/tokenizer.json takes Meta's.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    """`tiny`: on made-up text, over in seconds."""
    config = common.make(
        seed=0,
        data=dict(
            source="files",
            files="corpus/*.txt",
            tokenizer="bpe:128256",
            seq_len=8192,
            train_split="train[:99.9%]",
            val_split="train[99.9%:]",
        ),
        model=dict(
            name="transformer",
            num_layers=32,
            model_size=4096,
            num_heads=32,
            num_kv_heads=8,
            mlp_size=14336,
            rope_theta=500_000.0,
            tie_embeddings=False,
        ),
        objective=dict(name="lm"),
        train=dict(num_steps=76_000, batch_size=256),
        optimizer=dict(
            name="adamw",
            learning_rate=3e-4,
            weight_decay=0.1,
            schedule=dict(name="cosine", warmup_steps=2000, final=0.01),
        ),
        mesh=dict(data=1, fsdp=-1),
        precision=dict(params="float32", compute="bfloat16"),
        remat=dict(policy="full"),
        eval=dict(val=dict(split="val", every=5000)),
        checkpoint=dict(every=1000, keep_last=2),
        log=dict(every=10),
        sample=dict(num_tokens=100),
    )
    if arg == "tiny":
        return common.shrink(config)
    if arg:
        common.refuse("llama3_8b.py", arg)
    return config
