"""A ResNet-18 of a quarter of the width on Fashion-MNIST, 60,000 pictures of clothes in ten classes: 0.7 M parameters.

apt-get install dataset-fashion-mnist
python -m train --config=configs/resnet_fashion.py --workdir=runs/resnet_fashion
python -m train --config=configs/resnet_fashion.py:group --workdir=runs/resnet_group

Measured with seeds 0, 1, 2: test/accuracy .929, .925, .930, 23 to 25 minutes on one core.

Without Debian: --config.data.source=tfds --config.data.set=fashion_mnist:3.0.1 (its TFDS form needs TensorFlow once).
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    """`group`: group norm in the place of batch norm. `tiny`: on made-up shapes, over in seconds."""
    config = common.make(
        seed=0,
        data=common.fashion_mnist("random_crop(28, 2)|flip_lr|"),
        model=dict(name="resnet", depth=18, width=0.25, stem="small"),
        objective=dict(name="classify", label_smoothing=0.05),
        train=dict(num_epochs=4.0, batch_size=128),
        optimizer=dict(
            name="muon",
            learning_rate=1e-2,
            weight_decay=0.05,
            schedule=dict(name="cosine", warmup_epochs=1.0),
        ),
        **common.each_epoch(),
    )
    if arg == "tiny":
        config.model.update(width=0.125)
        return common.shrink_images(config)
    if arg == "group":
        config.model.update(norm="group", norm_groups=16)
    elif arg:
        common.refuse("resnet_fashion.py", arg, "group")
    return config
