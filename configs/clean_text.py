"""Text, cleaned: Gopher's rules, exact and near duplicates, and personal data masked.

python scripts/clean_data.py --config=configs/clean_text.py --input='mails/**/*' --output=cleaned
"""

from ml_collections import ConfigDict


def get_config(arg: str = "") -> ConfigDict:
    return ConfigDict(
        dict(modality="text", steps="", dedup=dict(near="minhash(ngram=5)", threshold=0.8), output=dict(format="jsonl"))
    )
