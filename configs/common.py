"""What configs share."""

import importlib.util

from ml_collections import ConfigDict


def make(**sections) -> ConfigDict:
    """A config from plain dicts."""
    return ConfigDict(sections)


def shrink(config: ConfigDict) -> ConfigDict:
    """The `tiny` form of a language model's config: the same kind of run, on made-up text, over in seconds.

    Eight heads of keys and a batch of 16, so that it fits every mesh of eight devices. What makes a family stays:
    grouped queries, heads apart from the width, every kind of window.
    """
    config = _shrink_text(config)
    model = config.model
    is_grouped = model.num_heads > model.num_kv_heads
    windows = model.get("windows", (0,))
    if "head_size" in model:
        model.head_size = 16
    if any(windows):
        model.windows = tuple(min(window, 16) for window in windows)
    model.update(num_heads=16 if is_grouped else 8, num_kv_heads=8, num_layers=max(4, len(windows)))
    model.update(model_size=64, mlp_size=128, dropout=0.0)
    return config


def shrink_recurrent_text(config: ConfigDict) -> ConfigDict:
    """The `tiny` form of a recurrent language model's config, of a width that every mesh of eight devices divides."""
    config = _shrink_text(config)
    config.model.update(hidden_size=64, dropout=0.0)
    return config


def _shrink_text(config: ConfigDict) -> ConfigDict:
    config.data = dict(
        source="synthetic",
        num_documents=64,
        document_bytes=2000,
        tokenizer="bytes",
        seq_len=64,
        train_split="train[:80%]",
        val_split="train[80%:]",
        prepare_workers=0,
    )
    config.train = dict(num_steps=40, batch_size=16)
    config.optimizer.schedule.warmup_steps = 5
    config.eval = dict(val=dict(split="val", every=20))
    config.checkpoint = dict(every=10, keep_last=2)
    config.log = dict(every=10)
    config.sample.num_tokens = 32
    return config


def shrink_images(config: ConfigDict) -> ConfigDict:
    """The `tiny` form of a config of images: the same model, on made-up shapes, over in seconds."""
    return _shrink_labelled(config, kind="shapes", num_classes=6)


def fashion_mnist(before: str = "", after: str = "") -> dict:
    """The section `data` of Fashion-MNIST: 60,000 pictures to train on, some of them to choose by, and 10,000 to test.

    What is done to training rows `before` their levels become numbers, such as "flip_lr|", and `after`.
    """
    normalize = "normalize(0.2860, 0.3530)"
    return dict(
        modality="image",
        source="idx",
        set="fashion_mnist",
        shape=(28, 28, 1),
        num_classes=10,
        train_split="train[:95%]",
        val_split="train[95%:]",
        test_split="test",
        transforms=f"{before}{normalize}{after}",
        eval_transforms=normalize,
    )


def each_epoch(batch_size: int = 1024) -> dict:
    """The sections that a config of labelled examples tells its progress by: every epoch, and the test at the end."""
    return dict(
        eval=dict(
            val=dict(split="val", every_epochs=1.0, batch_size=batch_size),
            test=dict(split="test", batch_size=batch_size),
        ),
        checkpoint=dict(every_epochs=1.0, keep_last=2),
        log=dict(every=50),
    )


def with_corruptions(config: ConfigDict) -> ConfigDict:
    """The same config, which at its end also measures the test split with each of five faults, at five strengths."""
    for kind in ("blur", "noise", "rotation", "contrast", "occlusion"):
        for strength in range(1, 6):
            transforms = f"corrupt('{kind}', {strength})|{config.data.eval_transforms}"
            config.eval[f"{kind}_{strength}"] = dict(config.eval.test, transforms=transforms, explain=False)
    return config


def shrink_sound(config: ConfigDict, *, samples: int, shape: tuple[int, ...]) -> ConfigDict:
    """The `tiny` form of a config of sound: made-up tones of so many samples, which its transforms make `shape`."""
    return _shrink_labelled(config, kind="tones", num_classes=6, made_shape=(samples,), shape=shape)


def shrink_sequences(config: ConfigDict) -> ConfigDict:
    """The `tiny` form of a config of tables: made-up sequences of 12 steps and 4 features."""
    return _shrink_labelled(config, kind="sequences", num_classes=4, shape=(12, 4))


def _shrink_labelled(config: ConfigDict, **data) -> ConfigDict:
    for name in ("set", "files", "pattern"):
        if name in config.data:
            del config.data[name]
    config.data.update(
        source="synthetic",
        num_examples=256,
        train_split="train[:70%]",
        val_split="train[70%:85%]",
        test_split="train[85%:]",
        prepare_workers=0,
        **data,
    )
    config.train = dict(num_steps=20, batch_size=16)
    config.optimizer.schedule.warmup_epochs = 0.0
    config.eval = dict(val=dict(split="val", every=10), test=dict(split="test"))
    config.checkpoint = dict(every=10, keep_last=2)
    config.log = dict(every=5)
    return config


def installed(package: str, pattern: str) -> str:
    """A glob of files that a package brings: real data on every machine."""
    spec = importlib.util.find_spec(package)
    [folder, *_] = spec.submodule_search_locations
    return f"{folder}/{pattern}"


def refuse(file: str, arg: str, *known: str) -> None:
    """A config's answer to an argument that it does not know."""
    expected = " or ".join(["'tiny'", *(["one of " + ", ".join(known)] if known else []), "none"])
    raise ValueError(f"{file}: expected the argument {expected}, got {arg!r}")
