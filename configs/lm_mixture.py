"""A small language model on a mixture: half of what it reads is jax, half the other libraries of the installation.

python -m train --config=configs/lm_mixture.py --workdir=runs/lm_mixture

Measured on two shared and busy CPU cores, in the middle of the run: val/loss 4.845 (2.786 bits a byte) at step 150.
"""

from ml_collections import ConfigDict

from configs import common

OTHERS = ("flax", "optax", "orbax-checkpoint", "ml-collections", "clu", "etils")


def get_config(arg: str = "") -> ConfigDict:
    """`tiny`: on made-up texts, over in seconds."""
    splits = dict(train_split="train[:98%]", val_split="train[98%:]")
    config = common.make(
        seed=0,
        data=dict(
            mixture=dict(
                jax=dict(source="packages", packages=("jax",), weight=0.5, max_epochs=4.0, **splits),
                others=dict(source="packages", packages=OTHERS, weight=0.5, transforms="drop_tokens(0.05)", **splits),
            ),
            tokenizer="bpe:2048",
            seq_len=128,
        ),
        model=dict(
            name="transformer",
            num_layers=4,
            model_size=128,
            num_heads=4,
            num_kv_heads=4,
            mlp_size=344,
            layer_loop="unroll",
        ),
        objective=dict(name="lm", z_loss=1e-4),
        train=dict(num_steps=300, batch_size=16),
        optimizer=dict(
            name="adamw",
            learning_rate=4e-3,
            weight_decay=0.1,
            schedule=dict(name="cosine", warmup_steps=30, final=0.1),
        ),
        eval=dict(
            val=dict(split="val", every=150, batch_size=64),
            val_jax=dict(split="val", part="jax", batch_size=64),
            val_others=dict(split="val", part="others", batch_size=64),
        ),
        checkpoint=dict(every=50, keep_last=2, keep_best=1),
        log=dict(every=10),
        sample=dict(prompt="def ", num_tokens=120, temperature=0.8),
    )
    if arg == "tiny":
        return shrink(config)
    if arg:
        common.refuse("lm_mixture.py", arg)
    return config


def shrink(config: ConfigDict) -> ConfigDict:
    """Two made-up texts; 40 steps make 2.4 epochs of one and 2.1 of the other."""
    text = dict(source="synthetic", train_split="train[:80%]", val_split="train[80%:]")
    config = common.shrink(config)
    config.data = dict(
        mixture=dict(
            long=dict(num_documents=16, document_bytes=1000, weight=0.75, **text),
            short=dict(
                num_documents=32,
                document_bytes=200,
                weight=0.25,
                transforms="mask_spans(0.15, 3)|drop_tokens(0.1)",
                **text,
            ),
        ),
        tokenizer="bytes",
        seq_len=64,
        prepare_workers=0,
    )
    config.eval = dict(val=dict(split="val", every=20), val_short=dict(split="val", part="short"))
    return config
