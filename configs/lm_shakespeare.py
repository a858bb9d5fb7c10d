"""nanoGPT's CPU recipe on tiny Shakespeare: 4 layers, 4 heads, 128 wide, 64 bytes a row, batch 12, 2,000 steps.

python -m train --config=configs/lm_shakespeare.py --workdir=runs/shakespeare --config.data.files=tinyshakespeare.txt

Measured on two CPU cores: val/loss 1.678 nats a byte over the whole validation split (1.661 in another order).
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    """`tiny`: on made-up text, over in seconds."""
    config = common.make(
        seed=0,
        data=dict(
            source="files",
            files="tinyshakespeare.txt",
            tokenizer="bytes",
            seq_len=64,
            split_by="bytes",
            train_split="train[:90%]",
            val_split="train[90%:]",
        ),
        model=dict(
            name="transformer",
            num_layers=4,
            model_size=128,
            num_heads=4,
            num_kv_heads=4,
            mlp_size=344,
        ),
        objective=dict(name="lm"),
        train=dict(num_steps=2000, batch_size=12),
        optimizer=dict(
            name="adamw",
            learning_rate=3e-3,
            weight_decay=0.1,
            second_momentum=0.99,
            schedule=dict(name="cosine", warmup_steps=100, final=0.1),
        ),
        eval=dict(val=dict(split="val", every=500, batch_size=128)),
        checkpoint=dict(every=500, keep_last=1),
        log=dict(every=20),
        sample=dict(prompt="ROMEO:\n", num_tokens=400, temperature=0.8),
    )
    if arg == "tiny":
        return common.shrink(config)
    if arg:
        common.refuse("lm_shakespeare.py", arg)
    return config
