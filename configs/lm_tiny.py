"""A small language model on the Python sources that the installation itself brings: no download, no account, no GPU.

python -m train --config=configs/lm_tiny.py --workdir=runs/lm_tiny
"""

from ml_collections import ConfigDict


def get_config(arg: str = "") -> ConfigDict:
    """`tiny`: the same shape of run on data of its own making, over in seconds."""
    config = ConfigDict()
    config.seed = 0
    config.data = ConfigDict(
        dict(
            source="packages",
            packages=("jax", "flax", "optax", "orbax-checkpoint", "ml-collections", "clu", "etils"),
            fingerprint="",
            tokenizer="bpe:4096",
            seq_len=256,
            train_split="train[:95%]",
            val_split="train[95%:]",
        )
    )
    config.model = ConfigDict(
        dict(
            name="transformer",
            num_layers=4,
            model_size=256,
            num_heads=8,
            num_kv_heads=8,
            mlp_size=704,
            layer_loop="unroll",
        )
    )
    config.objective = ConfigDict(dict(name="lm", z_loss=1e-4))
    config.train = ConfigDict(dict(num_steps=600, batch_size=16))
    config.optimizer = ConfigDict(
        dict(
            name="adamw",
            learning_rate=2e-3,
            weight_decay=0.1,
            schedule=dict(name="cosine", warmup_steps=50, final=0.1),
        )
    )
    config.eval = ConfigDict(dict(val=dict(split="val", every=200)))
    config.checkpoint = ConfigDict(dict(every=100, keep_last=2, keep_best=1))
    config.log = ConfigDict(dict(every=10))
    config.sample = ConfigDict(dict(prompt="def ", num_tokens=120, temperature=0.8))
    if arg == "tiny":
        config.data.update(
            dict(
                source="synthetic",
                packages=(),
                fingerprint="",
                num_documents=64,
                document_bytes=2000,
                tokenizer="bytes",
                seq_len=64,
            )
        )
        config.data.update(dict(train_split="train[:80%]", val_split="train[80%:]", prepare_workers=0))
        config.model.update(dict(model_size=64, mlp_size=128))
        config.train.update(dict(num_steps=40))
        config.eval.val.every = 20
        config.checkpoint.every = 10
        config.sample.num_tokens = 32
    elif arg:
        raise ValueError(f"lm_tiny.py: expected the argument 'tiny' or none, got {arg!r}")
    return config
