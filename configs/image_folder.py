"""A ResNet-18 on pictures of your own, a folder for each class: photos/cat/1.jpg, photos/dog/7.png, ...

python -m train --config=configs/image_folder.py --workdir=runs/photos --config.data.num_classes=2
python -m train --config=configs/image_folder.py:224 --workdir=runs/large --config.data.files='my/pictures/*/*'

Where names tell the class: --config.data.pattern='{label}_{number}.jpg'. Where pictures belong together (of one
patient, one camera), no group is cut over the splits: --config.data.pattern='{label}/{group}_{number}.jpg' with
--config.data.split_by=group.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    """None: 96 pixels a side. `224`: so many. `tiny`: on made-up shapes, over in seconds."""
    size = 224 if arg == "224" else 96
    normalize = "normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))"
    config = common.make(
        seed=0,
        data=dict(
            modality="image",
            source="folder",
            files="photos/*/*",
            shape=(size, size, 3),
            num_classes=2,
            train_split="train[:80%]",
            val_split="train[80%:90%]",
            test_split="train[90%:]",
            transforms=f"decode|inception_crop({size}, 0.35)|flip_lr|{normalize}",
            eval_transforms=f"decode|resize({size * 8 // 7})|central_crop({size})|{normalize}",
        ),
        model=dict(name="resnet", depth=18),
        objective=dict(name="classify", label_smoothing=0.1),
        train=dict(num_epochs=30.0, batch_size=64),
        optimizer=dict(
            name="muon",
            learning_rate=5e-3,
            weight_decay=0.05,
            schedule=dict(name="cosine", warmup_epochs=1.0),
        ),
        **common.each_epoch(batch_size=128),
    )
    if arg == "tiny":
        config.model.update(width=0.125, stem="small")
        config.data.update(shape=(28, 28, 3), transforms=f"flip_lr|{normalize}", eval_transforms=normalize)
        return common.shrink_images(config)
    if arg not in ("", "224"):
        common.refuse("image_folder.py", arg, "224")
    return config
