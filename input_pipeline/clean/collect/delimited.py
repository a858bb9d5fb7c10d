"""CSV and TSV: the first row names the columns."""

import csv
from collections import deque
from collections.abc import Iterator
from typing import TypeAlias

from input_pipeline.clean.collect import charset, rows
from input_pipeline.clean.collect.content import Content, Refused, changed
from input_pipeline.clean.collect.lines import lines
from input_pipeline.clean.record import Entry, Record

_MAX_COLUMNS = 100_000
_Row: TypeAlias = tuple[list[str], str]  # cells, and the charset of their lines


def read(content: Content) -> Iterator[Record | Entry]:
    """A record for each row below the head, named by its number from 0, refused ones counted."""
    spec = content.spec
    source = _Rows(content)
    head: list[str] = []
    number = -1  # of the head
    for row in source:
        if isinstance(row, Entry):
            yield row
            continue
        id = f"{content.name}#{number}" if head else content.name
        try:
            if isinstance(row, Refused):
                raise row
            cells, encoding = row
            if not head:
                head = _head(cells)
                for field in filter(None, (spec.field, spec.payload_field, spec.id_field)):
                    rows.find(dict.fromkeys(head), field)
            elif len(cells) != len(head):
                raise Refused("csv_width", len(cells), len(head))
            else:
                if encoding != "utf-8":
                    yield changed(id, "encoding", encoding, "utf-8")
                yield from rows.record(dict(zip(head, cells, strict=True)), id, spec)
        except Refused as refused:
            yield refused.entry(id)
            if number < 0:  # no head, or none of the fields that are asked for
                return
        number += 1


def _head(cells: list[str]) -> list[str]:
    """Names of columns, each once."""
    names: dict[str, None] = {}
    for i, cell in enumerate(cells):
        name = cell.strip() or f"column_{i}"
        while name in names:
            name += "'"
        names[name] = None
    return list(names)


class _Rows:
    """Rows of cells, or why one is none.

    After a quote that never ends, reading goes on with the second line of the refused row, as long as no more than
    max_record_bytes are read twice.
    """

    def __init__(self, content: Content) -> None:
        self._content = content
        self._lines = lines(content)
        self._again: deque[str] = deque()  # lines to be read once more
        self._taken: list[str] = []  # lines of the present row
        self._left = content.spec.max_record_bytes  # that may be read twice
        self._entries: list[Entry] = []
        self._refused: Refused | None = None  # a line that is none
        self._charset = ""  # the last that was guessed
        self._is_other = False  # whether it was needed in the present row
        is_tabbed = content.form.lower().endswith((".tsv", ".tab"))
        self._delimiter = content.spec.delimiter or ("\t" if is_tabbed else ",")

    def __iter__(self) -> Iterator[_Row | Refused | Entry]:
        csv.field_size_limit(self._content.spec.max_record_bytes)  # the module's one switch, for all of the process
        reader = self._reader()
        while True:
            self._taken, self._is_other = [], False
            try:
                cells = next(reader, None)
            except csv.Error as error:
                yield Refused("csv", str(error), "rows as RFC 4180 has them")
                self._read_again()
                reader = self._reader()
                continue
            except Refused as refused:
                yield refused
                reader = self._reader()
                continue
            yield from self._entries
            self._entries = []
            if cells is None:
                return
            if cells:
                yield self._checked(cells)

    def _reader(self) -> Iterator[list[str]]:
        return csv.reader(self._feed(), delimiter=self._delimiter, strict=True)

    def _checked(self, cells: list[str]) -> _Row | Refused:
        if any("\0" in cell for cell in cells):
            return Refused("binary", "NUL in a cell", "none")
        return cells, self._charset if self._is_other else "utf-8"

    def _read_again(self) -> None:
        rest = self._taken[1:]
        self._left -= sum(map(len, rest))
        if self._left >= 0:
            self._again.extendleft(reversed(rest))

    def _feed(self) -> Iterator[str]:
        while True:
            line = self._again.popleft() if self._again else self._next_line()
            if line is None:
                return
            self._taken.append(line)
            yield line

    def _next_line(self) -> str | None:
        """The next line as text; None at the end. Raises Refused for one that is none."""
        for found in self._lines:
            if isinstance(found, Entry):
                self._entries.append(found)
                continue
            _, line = found
            if isinstance(line, Refused):
                raise line
            return self._decoded(line)
        return None

    def _decoded(self, line: bytes) -> str:
        try:
            text = line.decode()
        except UnicodeDecodeError:
            text, self._charset = charset.decode(line, declared=self._charset)
            self._is_other = True
        if text.count(self._delimiter) > _MAX_COLUMNS:
            raise Refused("csv_width", text.count(self._delimiter) + 1, _MAX_COLUMNS)
        return text
