"""An LSTM as language model, on the text, the tokens and the steps of lm_tiny.py: two layers beside its Transformer.

python -m train --config=configs/rnn_lm.py --workdir=runs/rnn_lm

Measured with seeds 0, 1, 2: val/loss 4.03, 3.99, 3.94, val/bits_per_byte 2.32, 2.30, 2.27, 8 minutes on one core.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    """`tiny`: on made-up text, over in seconds."""
    config = common.make(
        seed=0,
        data=dict(
            source="packages",
            packages=("jax", "flax", "optax", "orbax-checkpoint", "ml-collections", "clu", "etils"),
            fingerprint="e752bc76aa11a65fa91efa876ca176a17bdcd1b83a2eaae8a13762cc5640a3d8",
            tokenizer="bpe:2048",
            seq_len=128,
            train_split="train[:98%]",
            val_split="train[98%:]",
        ),
        model=dict(name="rnn_lm", kind="lstm", num_layers=2, hidden_size=256, tie_embeddings=True),
        objective=dict(name="lm", z_loss=1e-4),
        train=dict(num_steps=500, batch_size=16),
        optimizer=dict(
            name="adamw",
            learning_rate=4e-3,
            weight_decay=0.1,
            schedule=dict(name="cosine", warmup_steps=50, final=0.1),
        ),
        eval=dict(val=dict(split="val", every=250, batch_size=64)),
        checkpoint=dict(every=50, keep_last=2, keep_best=1),
        log=dict(every=10),
        sample=dict(prompt="def ", num_tokens=120, temperature=0.8),
    )
    if arg == "tiny":
        return common.shrink_recurrent_text(config)
    if arg:
        common.refuse("rnn_lm.py", arg)
    return config
