"""An LSTM that reads Fashion-MNIST row by row: 28 steps of 28 pixels.

apt-get install dataset-fashion-mnist
python -m train --config=configs/lstm_fashion.py --workdir=runs/lstm_fashion
python -m train --config=configs/lstm_fashion.py:gru --workdir=runs/gru_fashion

Without Debian: --config.data.source=tfds --config.data.set=fashion_mnist:3.0.1 (its TFDS form needs TensorFlow once).
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    """`gru`: of gated recurrent units. `tiny`: on made-up shapes, over in seconds."""
    config = common.make(
        seed=0,
        data=dict(
            modality="image",
            source="idx",
            set="fashion_mnist",
            shape=(28, 28, 1),
            num_classes=10,
            train_split="train[:95%]",
            val_split="train[95%:]",
            test_split="test",
            transforms="normalize(0.2860, 0.3530)",
            eval_transforms="normalize(0.2860, 0.3530)",
        ),
        model=dict(name="rnn", kind="lstm", num_layers=2, hidden_size=128, dropout=0.2, pooling="mean"),
        objective=dict(name="classify"),
        train=dict(num_epochs=8.0, batch_size=128),
        optimizer=dict(
            name="adamw",
            learning_rate=3e-3,
            weight_decay=0.01,
            schedule=dict(name="cosine", warmup_epochs=0.5),
        ),
        eval=dict(val=dict(split="val", every_epochs=1.0, batch_size=1000), test=dict(split="test", batch_size=1000)),
        checkpoint=dict(every_epochs=1.0, keep_last=2),
        log=dict(every=50),
    )
    if arg == "tiny":
        return common.shrink_images(config)
    if arg == "gru":
        config.model.kind = "gru"
    elif arg:
        common.refuse("lstm_fashion.py", arg, "gru")
    return config
