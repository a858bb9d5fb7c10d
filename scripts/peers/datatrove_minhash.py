"""The peers of `scripts/bench_dedup.py`: datatrove's MinHash signatures, and rensa's. Runs in a Python that has both:

python -m venv peers && peers/bin/pip install 'datatrove[processing]' spacy xxhash rensa
"""

import json
import re
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from contender import RunSteps, serve

WORD = re.compile(r"\w+")
NGRAM = 5


def ngrams(text: str) -> list[str]:
    """What rensa is given: lower-cased word n-grams, joined."""
    words = WORD.findall(text.lower())
    return [" ".join(words[i : i + NGRAM]) for i in range(len(words) - NGRAM + 1)]


class Split:
    """Words between white space, which costs next to nothing."""

    def word_tokenize(self, text: str) -> list[str]:
        return text.split()


def datatrove_split(texts: list[str], bands: int, rows: int) -> RunSteps:
    """datatrove without its tokenizer of English, spaCy: what is left are n-grams and signatures."""
    return datatrove(texts, bands, rows, word_tokenizer=Split())


def datatrove(texts: list[str], bands: int, rows: int, **given: Any) -> RunSteps:
    """Shingles and signature of each document, as `MinhashDedupSignature.run` makes them; nothing is written."""
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature

    config = MinhashConfig(n_grams=NGRAM, num_buckets=bands, hashes_per_bucket=rows)
    signature = MinhashDedupSignature(tempfile.mkdtemp(), config)
    vars(signature).update(given)

    def run_steps(num_passes: int) -> float:
        count = 0
        for _ in range(num_passes):
            for text in texts:
                shingles = signature.get_shingles(text)
                count += shingles.size > 0 and len(signature.get_signature(shingles)) > 0
        return float(count)

    return run_steps


def rensa(texts: list[str], bands: int, rows: int) -> RunSteps:
    """n-grams in Python, as a user of rensa makes them, and its digests."""
    from rensa import RMinHash

    def run_steps(num_passes: int) -> float:
        found = [RMinHash.digests_from_token_sets(map(ngrams, texts), bands * rows, 1) for _ in range(num_passes)]
        return float(sum(map(len, found)))

    return run_steps


def rensa_of_ngrams(texts: list[str], bands: int, rows: int) -> RunSteps:
    """rensa alone: the n-grams were made before, and are not in its time."""
    from rensa import RMinHash

    made = list(map(ngrams, texts))

    def run_steps(num_passes: int) -> float:
        found = [RMinHash.digests_from_token_sets(made, bands * rows, 1) for _ in range(num_passes)]
        return float(sum(map(len, found)))

    return run_steps


PEERS: dict[str, Callable[[list[str], int, int], RunSteps]] = {
    "datatrove": datatrove,
    "datatrove_split": datatrove_split,
    "rensa": rensa,
    "rensa_of_ngrams": rensa_of_ngrams,
}


if __name__ == "__main__":
    name, file, bands, rows = sys.argv[1:]
    with open(file, encoding="utf-8") as lines:
        texts = [json.loads(line) for line in lines]
    serve(lambda: PEERS[name](texts, int(bands), int(rows)), warm_up=1)
