"""A small collection of texts in JSONL files, with copies at known places."""

import json
import pathlib

from input_pipeline.synthetic import stories

NUM_STORIES = 120
EVERY = 10  # a story has an equal and a near copy


def rows() -> list[dict[str, str]]:
    """Stories of 1,200 bytes; what repeats one says so in `copy`."""
    found = []
    for i in range(NUM_STORIES):
        text = stories.text(i, num_bytes=1200).decode()
        site = f"site{i % 3}"
        found.append({"text": text, "site": site, "copy": ""})
        if i % EVERY == 0:
            words = text.split(" ")
            found.append({"text": text, "site": site, "copy": "exact"})
            found.append({"text": " ".join([*words[:9], "otherwise", *words[10:]]), "site": site, "copy": "near"})
    return found


def write(folder: pathlib.Path, *, num_files: int = 6) -> dict[str, str]:
    """Writes the rows to files; -> {id: what it is a copy of}."""
    folder.mkdir(parents=True)
    whole = rows()
    size = -(-len(whole) // num_files)
    copies = {}
    for number in range(num_files):
        part = whole[number * size : (number + 1) * size]
        (folder / f"part-{number}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
        copies |= {f"part-{number}.jsonl#{place}": row["copy"] for place, row in enumerate(part)}
    return copies
