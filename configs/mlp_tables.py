"""A multilayer perceptron on tables that scikit-learn brings: `breast_cancer` (two classes) or `diabetes` (a number).

python -m train --config=configs/mlp_tables.py --workdir=runs/breast_cancer
python -m train --config=configs/mlp_tables.py:diabetes --workdir=runs/diabetes

Measured with seeds 0, 1, 2: breast_cancer test/accuracy .960, .960, .960 and test/auc .985, .985, .987; diabetes
test/r2 .428, .467, .423.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    """None: breast_cancer. `diabetes`: regression. `tiny`: on made-up sequences, over in seconds."""
    config = common.make(
        seed=0,
        data=dict(
            modality="table",
            source="sklearn",
            set="breast_cancer",
            shape=(30,),
            num_classes=2,
            train_split="train[:70%]",
            val_split="train[70%:80%]",
            test_split="train[80%:]",
            transforms="standardize|noise(0.1)",
            eval_transforms="standardize",
        ),
        model=dict(name="mlp", hidden=(64, 64), dropout=0.3),
        objective=dict(name="classify"),
        train=dict(num_epochs=60.0, batch_size=32),
        optimizer=dict(
            name="adamw",
            learning_rate=1e-3,
            weight_decay=0.1,
            schedule=dict(name="cosine", warmup_epochs=2.0),
        ),
        eval=dict(val=dict(split="val", every_epochs=10.0), test=dict(split="test")),
        checkpoint=dict(every_epochs=10.0, keep_last=2),
        log=dict(every=20),
    )
    if arg == "tiny":
        return common.shrink_sequences(config)
    if arg == "diabetes":
        config.data.update(set="diabetes", shape=(10,), labels="numbers", num_targets=1, num_classes=0)
        config.objective = dict(name="regress", target_mean=(152.0,), target_std=(77.0,))
    elif arg:
        common.refuse("mlp_tables.py", arg, "diabetes")
    return config
