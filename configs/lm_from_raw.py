"""From raw files to a trained model in one command: cleans, splits, fits a tokenizer, packs and trains.

python -m train --config=configs/lm_from_raw.py --workdir=runs/raw --config.data.clean.files='mails/**/*'

Without files of yours it reads the texts that installed packages bring: sources, licences by the dozen, lists of URLs,
prose. With another rule, only what depends on it is done again; with another tokenizer, only what follows the dataset.
What was left out, and why, lies beside the dataset; the run says where. Needs `make setup-clean`.
"""

from ml_collections import ConfigDict

from configs import common

PACKAGES = ("jax", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "numpy", "scipy", "matplotlib")
# Gopher's rules, as configs/clean_text.py has them.
STEPS = "html(main_content=True)|fix_text|normalize|language('en', 0.65)|gopher_quality|gopher_repetition|mask_pii"


def get_config(arg: str = "") -> ConfigDict:
    """`tiny`: on made-up texts with copies and junk among them, over in seconds."""
    config = common.make(
        seed=0,
        data=dict(
            source="cleaned",
            clean=dict(
                files=tuple(f"package:{name}" for name in PACKAGES),
                steps=STEPS,
                dedup=dict(near="minhash(ngram=5)", threshold=0.8),
                split=dict(val=0.02, test=0.02),
            ),
            tokenizer="bpe:2048",
            seq_len=128,
            train_split="train",
            val_split="val",
            test_split="test",
        ),
        model=dict(
            name="transformer",
            num_layers=4,
            model_size=128,
            num_heads=4,
            num_kv_heads=4,
            mlp_size=344,
        ),
        objective=dict(name="lm", z_loss=1e-4),
        train=dict(num_steps=300, batch_size=16),
        optimizer=dict(
            name="adamw",
            learning_rate=4e-3,
            weight_decay=0.1,
            schedule=dict(name="cosine", warmup_steps=30, final=0.1),
        ),
        eval=dict(val=dict(split="val", every=100, batch_size=64), test=dict(split="test", batch_size=64)),
        checkpoint=dict(every=50, keep_last=2, keep_best=1),
        log=dict(every=10),
        sample=dict(prompt="The ", num_tokens=120, temperature=0.8),
    )
    if arg == "tiny":
        return shrink(config)
    if arg:
        common.refuse("lm_from_raw.py", arg)
    return config


def shrink(config: ConfigDict) -> ConfigDict:
    """The same cleaning, of made-up files."""
    clean = config.data.clean
    config = common.shrink(config)
    config.data = dict(
        source="cleaned",
        clean=clean,
        tokenizer="bytes",
        seq_len=64,
        train_split="train",
        val_split="val",
        test_split="test",
        prepare_workers=0,
    )
    config.data.clean.update(files=("synthetic:200",), split=dict(val=0.1, test=0.1))
    config.eval = dict(val=dict(split="val", every=20), test=dict(split="test"))
    return config
