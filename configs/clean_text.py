"""Text, cleaned: HTML and encodings mended, published rules, exact and near duplicates, personal data masked.

python scripts/clean_data.py --config=configs/clean_text.py --input='corpus/**/*' --output=cleaned
python scripts/clean_data.py --config=configs/clean_text.py:fineweb --input='crawl/*.warc.gz' --output=cleaned

A folder of mails wants --config.source.format=mail where their names end in nothing that says so.
"""

from ml_collections import ConfigDict

from configs import common

# Published pipelines for English, in their own order; deduplication comes after all of a line.
#   gopher: Rae et al. 2021, appendix A.1, and masking.
#   c4: Raffel et al. 2020, section 2.2, as in JMLR and in tensorflow_datasets ("en" there also has a blocklist: write
#     toxicity(('list.txt',)) after it; "en.noblocklist" has none). c4_v1: the thresholds of arXiv 1910.10683v1.
#   fineweb: Penedo et al. 2024, section 3, and datatrove's examples/fineweb.py. FineWeb masks after deduplication.
PLAIN = "html(main_content=True)|fix_text|normalize"
STEPS = dict(
    gopher=f"{PLAIN}|language('en', 0.65)|gopher_quality|gopher_repetition|mask_pii",
    c4=f"{PLAIN}|c4|language('en', 0.99)",
    c4_v1=f"{PLAIN}|c4(min_words=3, min_sentences=5)|language('en', 0.99)",
    fineweb=(
        f"{PLAIN}|language('en', 0.65)|gopher_repetition|gopher_quality"
        "|c4(min_words=3, min_sentences=5, end_marks='')|fineweb|mask_pii(('email', 'ip'))"
    ),
)


def get_config(arg: str = "") -> ConfigDict:
    """`c4`, `c4_v1` or `fineweb`: their rules in the place of Gopher's. `tiny`: descriptions of data sets that an
    installed package brings, over in seconds.
    """
    config = common.make(
        modality="text",
        steps=STEPS.get(arg, STEPS["gopher"]),
        dedup=dict(exact=True, near="minhash(ngram=5)", threshold=0.8),
        split=dict(val=0.01, test=0.01),
        output=dict(format="array_record"),
    )
    if arg == "tiny":
        config.files = (common.installed("sklearn", "datasets/descr/*.rst"),)
        config.split.update(val=0.2, test=0.2)
    elif arg and arg not in STEPS:
        common.refuse("clean_text.py", arg, *STEPS)
    return config
