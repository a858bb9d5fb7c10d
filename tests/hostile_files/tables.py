"""CSV, Parquet, ArrayRecord, WebDataset, pictures and clips that are damaged or lie."""

import functools
import io
import json
import pathlib
import struct
import tempfile
from typing import Any

from hostile_files.archives import tarred
from hostile_files.case import SENTENCE, Hostile, case, flipped, junk, placed, sparse

TEXT = SENTENCE.encode()
_HEAD, _ROW = b"text,n\n", b"%b,1\n" % TEXT
_QUOTED = b'"%b",1\n' % TEXT


def _rows(odd: bytes) -> bytes:
    """A table with this between two sound rows."""
    return _HEAD + _ROW + odd + _ROW


CSV: dict[str, Hostile] = {
    "empty.csv": case(b"", "empty"),
    "only_a_head.csv": case(_HEAD, "empty"),
    "junk.csv": case(b"\0" + junk(3_000), "binary"),
    "plain_text.csv": case(TEXT, "field"),
    "no_column.csv": case(b"a,b\n1,2\n3,4\n", "field"),
    "too_few_cells.csv": case(_rows(b"x\n"), "csv_width", "#0 #2"),
    "too_many_cells.csv": case(_rows(b"x,1,2,3\n"), "csv_width", "#0 #2"),
    "blank_lines.csv": case(_rows(b"\n\r\n\n"), sound="#0 #1"),
    "empty_text.csv": case(_rows(b",1\n"), "empty", "#0 #2"),
    "nul.csv": case(_rows(b"a\0b,1\n"), "binary", "#0 #2"),
    "quote_without_end.csv": case(_rows(b'"x,1\n'), "csv", "#0 #2"),
    "quote_within_a_cell.csv": case(_rows(b'"x"y,1\n'), "csv", "#0 #2"),
    "quote_without_end_in_the_head.csv": case(b'"text,n\n' + _ROW, "csv"),
    "many_quotes_without_end.csv": case(_HEAD + b'"y,1\n' * 2_000, "csv", max_record_bytes=8_192),
    "lines_within_quotes.csv": case(_HEAD + b'"a\nb\r\nc",1\n', sound="#0"),
    "long_cell.csv": case(_rows(b"x" * 9_000 + b",1\n"), "record_bytes", "#0 #2", max_record_bytes=4_096),
    "long_quoted_cell.csv": case(
        _rows(b'"' + b"x\n" * 9_000 + b'",1\n'), "csv csv_width", "#0", max_record_bytes=4_096
    ),
    "many_columns.csv": case(_rows(b"," * 200_000 + b"\n"), "csv_width", "#0 #2"),
    "same_column_twice.csv": case(b"text,n,n,,\n%b,1,2,3,4\n" % TEXT, sound="#0"),
    "latin_1.csv": case(_rows("Voix ambiguë d'un cœur,1\n".encode("cp1252")), "encoding", "#0 #1 #2"),
    "utf16.csv": case((_HEAD + _ROW).decode().encode("utf-16"), "encoding", "#0"),
    "marked.csv": case(b"\xef\xbb\xbf" + _HEAD + _ROW, sound="#0"),
    "old_line_ends.csv": case((_HEAD + _ROW).replace(b"\n", b"\r"), "csv"),
    "formulas.csv": case(_rows(b"=cmd|'/c calc'!A0,1\n"), sound="#0 #1 #2"),
    "100_mb_cell.csv": placed(
        sparse(100 << 20, begin=_HEAD + _ROW, end=b"\n" + _ROW), "record_bytes", "#0 #2", large=True
    ),
}


@functools.cache
def parquet(**options: Any) -> bytes:
    """Three row groups of ten rows."""
    import pyarrow
    from pyarrow import parquet as format

    made = io.BytesIO()
    table = pyarrow.table({"text": [f"{SENTENCE} {i}" for i in range(30)], "n": range(30)})
    format.write_table(
        table, made, row_group_size=10, write_page_checksum=True, use_dictionary=False, compression="none", **options
    )
    return made.getvalue()


def _parquet_of(columns: dict[str, Any]) -> bytes:
    import pyarrow
    from pyarrow import parquet as format

    made = io.BytesIO()
    format.write_table(pyarrow.table(columns), made)
    return made.getvalue()


def _strings_not_utf8() -> bytes:
    import pyarrow

    raw = pyarrow.array([b"sound text", b"\xff\xfe wrong", b"more text"]).view(pyarrow.string())
    return _parquet_of({"text": raw})


def _damaged_group() -> bytes:
    raw = parquet()
    return flipped(raw, raw.index(b"lazy dog near the bank of the river. 15"))


def _many_rows_in_few_bytes() -> bytes:
    """Hundreds of rows with the same long text."""
    import pyarrow
    from pyarrow import parquet as format

    made = io.BytesIO()
    text = pyarrow.DictionaryArray.from_arrays([0] * 300, ["x" * (1 << 20)])
    format.write_table(pyarrow.table({"text": text}), made, compression="zstd")
    return made.getvalue()


def _ids(*numbers: int) -> str:
    return " ".join(f"#{i}" for i in numbers)


PARQUET: dict[str, Hostile] = {
    "empty.parquet": case(b"", "empty"),
    "junk.parquet": case(junk(3_000), "parquet"),
    "only_magic.parquet": case(b"PAR1PAR1", "parquet"),
    "wrong_magic.parquet": case(lambda: parquet()[:-4] + b"PAR2", "parquet"),
    "encrypted.parquet": case(lambda: parquet()[:-4] + b"PARE", "parquet"),
    "half.parquet": case(lambda: parquet()[: len(parquet()) // 2], "parquet"),
    "long_footer.parquet": case(lambda: parquet()[:-8] + struct.pack("<L", 0x7FFFFFFF) + b"PAR1", "parquet"),
    "negative_footer.parquet": case(lambda: parquet()[:-8] + b"\xff\xff\xff\xffPAR1", "parquet"),
    "junk_in_the_footer.parquet": case(lambda: parquet()[:-60] + junk(52) + parquet()[-8:], "parquet"),
    "damaged_page.parquet": case(_damaged_group, "parquet", _ids(*range(10), *range(20, 30))),
    "no_rows.parquet": case(lambda: _parquet_of({"text": []}), "empty"),
    "no_column.parquet": case(lambda: _parquet_of({"body": ["x"]}), "field"),
    "text_is_a_number.parquet": case(lambda: _parquet_of({"text": [1, 2]}), "field"),
    "text_is_null.parquet": case(lambda: _parquet_of({"text": ["a b", None, "c d"]}), "field", "#0 #2"),
    "text_is_binary.parquet": case(
        lambda: _parquet_of({"text": [b"a b", b"a\0b", "\u00e9t\u00e9 ".encode("cp1252") * 20]}),
        "binary encoding",
        "#0 #2",
    ),
    "not_utf8.parquet": case(_strings_not_utf8, "parquet", "#0 #2"),
    "nan.parquet": case(lambda: _parquet_of({"text": ["a b", "c d"], "n": [float("nan"), 1.0]}), "not_finite", "#0 #1"),
    "long_text.parquet": case(
        lambda: _parquet_of({"text": ["a b", "x" * 9_000]}), "record_bytes", "#0", max_record_bytes=4_096
    ),
    "rows_in_few_bytes.parquet": case(_many_rows_in_few_bytes, "", _ids(*range(300)), large=True),
}


def _array_record(*records: bytes) -> bytes:
    from array_record.python import array_record_module

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "x"
        writer = array_record_module.ArrayRecordWriter(str(path), "group_size:1")
        for record in records:
            writer.write(record)
        writer.close()
        return path.read_bytes()


def _object(text: str) -> bytes:
    return json.dumps({"text": text}).encode()


@functools.cache
def _sound_records() -> bytes:
    return _array_record(*(_object(f"{SENTENCE} {i}") for i in range(5)))


RECORDS: dict[str, Hostile] = {
    "empty.array_record": case(b"", "empty"),
    "junk.array_record": case(junk(3_000), "array_record"),
    "half.array_record": case(lambda: _sound_records()[: len(_sound_records()) // 2], "array_record"),
    "flipped.array_record": case(lambda: flipped(_sound_records(), 200), "array_record", _ids(1, 2, 3, 4)),
    "no_json.array_record": case(lambda: _array_record(_object("a b"), b"{", _object("c d")), "json", "#0 #2"),
    "no_example.array_record": case(
        lambda: _array_record(_object("a b"), b"\n\xff\xff\xff", _object("c d")), "example", "#0 #2"
    ),
    "empty_record.array_record": case(lambda: _array_record(_object("a b"), b"", _object("c d")), "json", "#0 #2"),
    "binary_record.array_record": case(
        lambda: _array_record(_object("a b"), b"\0" * 50, _object("c d")), "binary", "#0 #2"
    ),
}

_PNG = b"\x89PNG\r\n\x1a\n" + junk(90)
_SAMPLE = [("1.png", _PNG), ("1.cls", b"3"), ("1.json", b'{"url": "x"}')]
_SETS = dict(format="webdataset")

WEBDATASET: dict[str, Hostile] = {
    "samples.tar": case(tarred([*_SAMPLE, ("2.txt", TEXT)]), sound="/1 /2", **_SETS),
    "label_alone.tar": case(tarred([*_SAMPLE, ("2.cls", b"3")]), "webdataset", "/1", **_SETS),
    "json_of_nothing.tar": case(tarred([*_SAMPLE, ("2.txt", TEXT), ("2.json", b"[")]), "json", "/1", **_SETS),
    "json_is_an_array.tar": case(tarred([*_SAMPLE, ("2.txt", TEXT), ("2.json", b"[]")]), "json", "/1", **_SETS),
    "unknown_part.tar": case(tarred([*_SAMPLE, ("1.xyz", b"?")]), "webdataset", "/1", **_SETS),
    "empty_picture.tar": case(tarred([("0.png", b""), *_SAMPLE]), "empty", "/1", **_SETS),
    "apart.tar": case(tarred([*_SAMPLE, ("2.txt", TEXT), ("1.txt", TEXT)]), sound="/1 /2 /1@2", **_SETS),
    "large_sample.tar": case(
        tarred([("1.png", junk(3_000)), ("1.txt", TEXT * 50), *_SAMPLE]),
        "record_bytes",
        "/1@2",
        max_record_bytes=4_096,
        **_SETS,
    ),
    "no_tar.tar": case(TEXT, "tar_header", **_SETS),
}

MEDIA: dict[str, Hostile] = {
    "empty.png": case(b"", "empty"),
    "empty.wav": case(b"", "empty"),
    "junk.png": case(junk(500), sound="."),  # found out when it is decoded
    "text.wav": case(TEXT, sound="."),
    "long.jpg": case(b"\xff\xd8\xff" + bytes(9_000), "record_bytes", max_record_bytes=4_096),
    "name_tells_nothing.png": case(_PNG, "pattern", pattern="{label}_{group}-{number}.png"),
    "2_gb_picture.bmp": placed(sparse(2 << 30, begin=b"BM"), "record_bytes", large=True),
    "picture_without_suffix": case(_PNG, sound="."),
}

CASES = CSV | PARQUET | RECORDS | WEBDATASET | MEDIA
