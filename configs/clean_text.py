"""Text, cleaned: HTML and encodings mended, Gopher's rules, exact and near duplicates, personal data masked.

python scripts/clean_data.py --config=configs/clean_text.py --input='corpus/**/*' --output=cleaned
python scripts/clean_data.py --config=configs/clean_text.py --input='mails/**/*.txt' --output=mails \
  --config.source.format=mail
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    """`tiny`: the documents of an installed package, over in seconds."""
    config = common.make(
        modality="text",
        steps="html|fix_text|gopher_quality|gopher_repetition|mask_pii",
        dedup=dict(exact=True, near="minhash(ngram=5)", threshold=0.8),
        split=dict(val=0.01, test=0.01),
        output=dict(format="array_record"),
    )
    if arg == "tiny":
        config.files = (common.installed("sklearn", "datasets/descr/*.rst"),)
        config.split.update(val=0.2, test=0.2)
    elif arg:
        common.refuse("clean_text.py", arg)
    return config
