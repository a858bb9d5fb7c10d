"""A small convolutional network on Fashion-MNIST, 60,000 pictures of clothes in ten classes.

apt-get install dataset-fashion-mnist
python -m train --config=configs/cnn_fashion.py --workdir=runs/cnn_fashion
python -m train --config=configs/cnn_fashion.py:augmented --workdir=runs/cnn_augmented

Measured with seeds 0, 1, 2, 188,442 parameters: test/accuracy .933, .933, .929, 13 to 18 minutes on one core;
`augmented`: .941, .940, .944 on one core, and with seed 0 on two .943, in 21 minutes.

Without Debian: --config.data.source=tfds --config.data.set=fashion_mnist:3.0.1 (its TFDS form needs TensorFlow once).
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    """`augmented`: shifts too, more epochs. `corrupted`: as it is, tested with five faults
    too. `tiny`: on made-up shapes, over in seconds.
    """
    config = common.make(
        seed=0,
        data=common.fashion_mnist("flip_lr|"),
        model=dict(
            name="cnn",
            channels=(16, 64, 96),
            convs_per_stage=2,
            norm="batch",
            head="mean",
            stage_dropout=0.1,
            dropout=0.3,
        ),
        objective=dict(name="classify"),
        train=dict(num_epochs=6.0, batch_size=128),
        optimizer=dict(
            name="muon",
            learning_rate=1e-2,
            weight_decay=0.05,
            schedule=dict(name="cosine", warmup_epochs=0.5),
        ),
        **common.each_epoch(),
    )
    if arg == "corrupted":
        return common.with_corruptions(config)
    if arg == "tiny":
        return common.shrink_images(config)
    if arg == "augmented":
        config.data = common.fashion_mnist("random_crop(28, 2)|flip_lr|")
        config.model.update(stage_dropout=0.0, dropout=0.1)
        config.objective.label_smoothing = 0.05
        config.train.num_epochs = 15.0
    elif arg:
        common.refuse("cnn_fashion.py", arg, "augmented", "corrupted")
    return config
