"""Does this cleaning train a better model? Small models of equal tokens, on variants of the same raw text.

python scripts/ablate_data.py --config=configs/ablate_text.py --workdir=runs/ablation --seeds=3
python scripts/ablate_data.py --config=configs/ablate_text.py:planted --workdir=runs/planted --seeds=5

Each variant is what is written behind `--config.` of a run: here operations, deduplication, and weights of a mixture.
Files of yours: --run.data.mixture.corpus.clean.files='crawl/**/*' and, of the text that a model should be good at,
--run.data.mixture.heldout.source=files --run.data.mixture.heldout.files='good/*.txt'. The held-out text has weight 0:
no variant trains on it.
"""

from ml_collections import ConfigDict

from configs import common

PLANTED = "input_pipeline.synthetic.planted:"
MADE = dict(document_bytes=600, train_split="train[:90%]", val_split="train[90%:]")


def get_config(arg: str = "") -> ConfigDict:
    """`planted`: mixtures of made-up corpora, of which it is known what is wrong; `tiny`: two of them, in seconds."""
    if arg in ("planted", "tiny"):
        return planted(num_steps=400 if arg == "planted" else 6)
    if arg:
        common.refuse("ablate_text.py", arg, "planted")
    corpus = dict(source="cleaned", weight=1.0, train_split="train", val_split="")
    corpus["clean"] = dict(
        files=("synthetic:3000",),
        steps="",
        dedup=dict(exact=False, near=""),
        split=dict(train=0.9, val=0.1, test=0.0),
    )
    rules = "data.mixture.corpus.clean.steps=html|fix_text|gopher_quality|gopher_repetition"
    exact = "data.mixture.corpus.clean.dedup.exact=True"
    near = "data.mixture.corpus.clean.dedup.near=minhash(ngram=5)"
    return common.make(
        run=proxy(dict(corpus=corpus, heldout=held_out("held_out_stories")), num_steps=400),
        judges=("heldout",),
        baseline="raw",
        variants=dict(raw=(), exact=(exact,), near=(exact, near), rules=(rules,), all=(rules, exact, near)),
    )


def planted(*, num_steps: int) -> ConfigDict:
    """A corpus of two domains, and what it would be with junk, with copies, and with one domain starved."""
    parts = dict(
        stories=made("", 0.5),
        orders=made("orders", 0.5),
        other_stories=made("other_stories", 0.0),
        copies=made("copies", 0.0),
        junk=made("junk_pages", 0.0),
        heldout_stories=held_out("held_out_stories"),
        heldout_orders=held_out("held_out_orders"),
    )
    weights = lambda **given: tuple(f"data.mixture.{name}.weight={weight}" for name, weight in given.items())
    config = common.make(
        run=proxy(parts, num_steps=num_steps),
        judges=("heldout", "heldout_stories", "heldout_orders"),
        baseline="clean",
        variants=dict(
            clean=(),
            alike=weights(stories=0.0, other_stories=0.5),
            copies=weights(stories=0.0, copies=0.5),
            junk=weights(stories=0.25, orders=0.25, junk=0.5),
            starved=weights(stories=0.98, orders=0.02),
        ),
    )
    if num_steps < 50:
        config.variants = dict(clean=(), junk=config.variants.junk)
    return config


def made(kind: str, weight: float) -> dict:
    """Documents made from numbers; of no kind, stories."""
    return dict(source=f"{PLANTED}{kind}" if kind else "synthetic", num_documents=500, weight=weight, **MADE)


def held_out(kind: str) -> dict:
    """Text that is evaluated alone; `train` is the part of it that nothing reads."""
    return dict(made(kind, 0.0), num_documents=100, train_split="train[:5%]", val_split="train[5%:]")


def proxy(parts: dict, *, num_steps: int) -> ConfigDict:
    """A model that trains in seconds."""
    judged = [name for name in parts if name.startswith("heldout")]
    data = dict(mixture=parts, tokenizer="bytes", seq_len=64, prepare_workers=0)
    for name, part in parts.items():
        if name not in judged:
            part["val_split"] = ""  # judged by what is held out alone
    return common.make(
        seed=0,
        data=data,
        model=dict(name="transformer", num_layers=2, model_size=64, num_heads=4, num_kv_heads=4, mlp_size=128),
        objective=dict(name="lm"),
        train=dict(num_steps=num_steps, batch_size=32),
        optimizer=dict(
            name="adamw",
            learning_rate=2e-3,
            weight_decay=0.1,
            schedule=dict(name="cosine", warmup_steps=num_steps // 10 + 1, final=0.1),
        ),
        eval=dict(heldout=dict(split="val", batch_size=64))
        | {name: dict(split="val", part=name, batch_size=64) for name in judged if name != "heldout"},
        checkpoint=dict(every=num_steps, keep_last=1),
        log=dict(every=num_steps),
    )
