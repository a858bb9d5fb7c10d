"""Texts at which rules could stumble, and a way to run a line of operations on texts."""

from input_pipeline.clean.record import Outcome, Record
from input_pipeline.clean.steps import STEPS
from input_pipeline.transforms.parse import read

PROSE = (
    "It was the best of times, it was the worst of times, and the people of the town had to be content with that.\n"
    "They said that the season of light would have an end; and that the winter of despair would come with the snow.\n\n"
    "Nobody had an answer to this, though many tried to find one: to be or to have, that was a question for the old.\n"
)
TEXTS = (
    "",
    " ",
    "\n",
    "\n\n\n",
    "word",
    "word " * 60,
    "word\n" * 60,
    "a b\n\na b\n\na b",
    PROSE,
    PROSE * 3,
    PROSE.replace("\n", "\r\n"),
    PROSE.replace("\n", " "),
    PROSE.upper(),
    "\n".join(f"- {line}" for line in PROSE.split()),
    "\n".join(f"{line} ..." for line in PROSE.split(", ")),
    "\n".join(f"{line}…" for line in PROSE.splitlines()),
    PROSE.replace(" the", " #"),
    PROSE.replace(",", " ..."),
    PROSE.replace(" of", " 12:34 --"),
    "これは日本語の文章です。空白がありません。" * 40,
    "мама мыла раму и пела песню. " * 20 + PROSE,
    "👩‍👩‍👧‍👦 🎉 " * 40 + PROSE,
    "e\u0301te\u0301 \u00a0\u2003 caf\u00e9 \ufeff " * 30,
    "x" * 5000 + " " + PROSE,
    "\x00\x01\x02 " * 60,
    "tail\x85lines\u2028here\x0bthere\x1c" * 20,
    "to be " * 10 + PROSE,
    " ".join(f"{word} {word}" for word in PROSE.split()),
    PROSE + "\n".join(PROSE.splitlines()[:1] * 2),
    "half \ud800 a pair " * 20,
)


def run(line: str, texts, **fields) -> Outcome:
    """All operations of a line on these texts; ids are their places."""
    records = [Record(str(place), text, fields=fields) for place, text in enumerate(texts)]
    entries = []
    for step in read(line, STEPS["text"], field="steps"):
        records, found = step(records)
        entries += found
    return Outcome(records, entries)


def texts_of(outcome: Outcome) -> list[str]:
    return [record.text for record in outcome.records]
