"""A model of GPT-3 Medium's size in today's form: 24 layers, 1,024 wide, 342 million parameters, 6.8 billion tokens.

python -m train --config=configs/lm_350m.py --workdir=runs/350m --config.data.files='corpus/*.txt'

Tokens are 20 a parameter (Hoffmann et al., 2022, https://arxiv.org/abs/2203.15556). Heads are 128 wide, as TPUs like
them, and queries and keys are normalised, which lets the rate be high.
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
            tokenizer="bpe:32768",
            seq_len=2048,
            train_split="train[:99%]",
            val_split="train[99%:]",
        ),
        model=dict(
            name="transformer",
            num_layers=24,
            model_size=1024,
            num_heads=8,
            num_kv_heads=8,
            mlp_size=2816,
            qk_norm=True,
        ),
        objective=dict(name="lm", z_loss=1e-4),
        train=dict(num_steps=13_000, batch_size=256),
        optimizer=dict(
            name="adamw",
            learning_rate=1e-3,
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
    if arg == "tiny":
        return common.shrink(config)
    if arg:
        common.refuse("lm_350m.py", arg)
    return config
