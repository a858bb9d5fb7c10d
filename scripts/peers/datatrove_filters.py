"""The peer of `scripts/bench_clean.py`: datatrove's filters. Runs in a Python that has it, without this project.

python -m venv peers && peers/bin/pip install 'datatrove[processing]' spacy
"""

import copy
import json
import re
import sys
from collections.abc import Sequence
from typing import Any

from contender import serve

# Names are ours. The one whose text changes comes last: datatrove keeps the words of a text from filter to filter.
FILTERS = {
    "gopher_quality": "GopherQualityFilter",
    "gopher_repetition": "GopherRepetitionFilter",
    "fineweb": "FineWebQualityFilter",
    "c4": "C4QualityFilter",
}


class Split:
    """Stands for datatrove's tokenizer: words between white space, and sentences as in our `c4.py`."""

    BOUNDARY = re.compile(r"[.!?…][\"'\u201d\u2019)\]]*\s+(?=[^\sa-z])")

    def word_tokenize(self, text: str) -> list[str]:
        return text.split()

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        ends = [match.end() for match in self.BOUNDARY.finditer(text)]
        return list(zip([0, *ends], [*ends, len(text)], strict=True))


def make(names: Sequence[str], *, is_split: bool) -> list[Any]:
    """Filters with their defaults; with words as our own if `is_split`, else as datatrove finds them in English."""
    from datatrove.pipeline import filters
    from datatrove.utils import word_tokenizers

    if is_split:
        word_tokenizers.load_word_tokenizer = lambda language: Split()
    return [getattr(filters, FILTERS[name])() for name in names]


def judge(texts: Sequence[str], filters: Sequence[Any]) -> list[list[str]]:
    """For each document what each filter has against it, "" for nothing. All see the document as it came."""
    from datatrove.data import Document

    found = []
    for number, text in enumerate(texts):
        document = Document(text=text, id=str(number))
        results = [each.filter(copy.copy(document)) for each in filters]
        found.append(["" if result is True else result[1] for result in results])
    return found


def main(mode: str, file: str, words: str, *names: str) -> None:
    with open(file, encoding="utf-8") as lines:
        texts = [json.loads(line) for line in lines]
    filters = make(names, is_split=words == "split")

    def run_steps(num_passes: int) -> float:
        found = [judge(texts, filters) for _ in range(num_passes)]
        return float(sum(not any(reasons) for reasons in found[-1]))

    if mode == "judge":
        print(json.dumps(judge(texts, filters)))
    else:
        serve(lambda: run_steps, warm_up=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
