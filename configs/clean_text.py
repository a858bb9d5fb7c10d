"""Text, cleaned: HTML and encodings mended, Gopher's rules, exact and near duplicates, personal data masked.

python scripts/clean_data.py --config=configs/clean_text.py --input='mails/**/*' --output=cleaned

Which mails of a mailbox Gopher's rules leave: most; see LOG.md for the figures.
"""

from ml_collections import ConfigDict


def get_config(arg: str = "") -> ConfigDict:
    """The presets differ in their rules alone."""
    return ConfigDict(
        dict(
            modality="text",
            source=dict(format="auto"),
            steps="html|fix_text|gopher_quality|gopher_repetition|mask_pii",
            dedup=dict(exact=True, near="minhash(ngram=5)", threshold=0.8),
            split=dict(val=0.01, test=0.01),
            output=dict(format="array_record"),
        )
    )
