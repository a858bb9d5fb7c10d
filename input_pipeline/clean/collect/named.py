"""What a file's name tells of its records."""

import dataclasses
import functools
from collections.abc import Callable

from input_pipeline.clean.collect.content import Content, Refused
from input_pipeline.clean.collect.spec import Collect
from input_pipeline.clean.record import Entry, Record
from input_pipeline.labelled import patterns


def told_by_name(record: Record, content: Content) -> Record | Entry:
    """The record with what the pattern finds in the name; an entry where the name does not fit."""
    if not content.spec.pattern:
        return record
    try:
        told = _reader(content.spec)(content.name)
    except ValueError:
        return Refused("pattern", content.name[:200], content.spec.pattern).entry(record.id)
    return dataclasses.replace(record, fields={**told, **record.fields})


@functools.lru_cache(8)
def _reader(spec: Collect) -> Callable[[str], dict[str, str]]:
    wanted = "group" if "{group}" in spec.pattern else "label"
    return patterns.reader(spec.pattern, wanted=wanted, option="source.pattern")
