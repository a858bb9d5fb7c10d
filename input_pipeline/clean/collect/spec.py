"""How raw files become records: the `source` section of a cleaning config."""

from dataclasses import dataclass

from input_pipeline import checks
from input_pipeline.clean.collect.formats import FORMATS
from input_pipeline.labelled import patterns

ALL = ("*",)


@dataclass(frozen=True)
class Collect:
    """What the files are, what is taken from them, and how much of it.

    What goes beyond a limit becomes an entry of the ledger and never lies in memory.
    """

    format: str = "auto"  # of the files, or of what archives hold: by suffix, else by first bytes; or one of FORMATS
    field: str = "text"  # the text in JSONL, CSV, Parquet, ArrayRecord; "a.b" is b within a; "": records are rows
    payload_field: str = ""  # there, the file of a picture or clip
    id_field: str = ""  # there, a record's id, unique in the whole collection; "": its file and its place there
    fields: tuple[str, ...] = ALL  # there, what else is kept, "a.b" too; ("*",): all that holds one value
    pattern: str = ""  # of names, such as "{label}_{group}_{number}.wav"; "": a picture's or clip's label is its folder
    delimiter: str = ""  # of CSV; "": a tab in .tsv, else a comma
    max_record_bytes: int = 64 << 20  # of a document, line, mail, picture or clip, unpacked
    max_archive_members: int = 1_000_000  # in one file, however deep
    max_archive_bytes: int = 1 << 40  # unpacked of one file, all layers together
    max_depth: int = 4  # of archives and compression in one another: tar.gz within zip is 3
    max_ratio: float = 200.0  # of unpacked to packed bytes, once more than content.FREE_BYTES are unpacked
    max_pdf_pages: int = 2_000
    max_pdf_seconds: int = 60  # of computing, for one PDF
    max_pdf_bytes: int = 2 << 30  # of memory, for one PDF

    def __post_init__(self) -> None:
        checks.one_of(("auto", *FORMATS), "source.", format=self.format)
        for name in ("max_record_bytes", "max_archive_members", "max_archive_bytes", "max_ratio"):
            checks.at_least(1, "source.", **{name: getattr(self, name)})
        checks.at_least(0, "source.", max_depth=self.max_depth)
        checks.at_least(1, "source.", max_pdf_pages=self.max_pdf_pages, max_pdf_seconds=self.max_pdf_seconds)
        checks.at_least(256 << 20, "source.", max_pdf_bytes=self.max_pdf_bytes)
        if len(self.delimiter) > 1:
            raise ValueError(f"source.delimiter: expected one character, got {self.delimiter!r}; write for example ';'")
        if self.pattern:
            wanted = "group" if "{group}" in self.pattern else "label"
            patterns.reader(self.pattern, wanted=wanted, option="source.pattern")
