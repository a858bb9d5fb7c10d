"""Sound files of every format, against other readers of the same bytes."""

import bz2
import csv
import email
import email.policy
import email.utils
import errno
import gzip
import io
import itertools
import json
import lzma
import shutil
import tarfile
import zipfile
from email.header import Header
from email.message import EmailMessage

import fastwarc
import fsspec
import pyarrow
import pypdf
import pytest
import record_files
import tensorflow_datasets
from hostile_files import mails, tables
from hostile_files.case import SENTENCE
from pyarrow import parquet

from input_pipeline.clean import inputs
from input_pipeline.clean.collect import CONTAINERS, READERS, Collect, charset, formats, read
from input_pipeline.clean.collect.content import spelt
from input_pipeline.clean.record import CHANGED, Entry, Record

pytestmark = pytest.mark.fast
TEXTS = [f"{SENTENCE} {i} \u00e9\u4eba" for i in range(9)]


def collected(folder, name, raw, **spec):
    """What a file of these bytes gives."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)
    return list(read(str(path), name, spec=Collect(**spec)))


def test_tables_of_formats_agree():
    assert set(READERS) == set(formats.FORMATS)
    assert set(CONTAINERS) == {*formats.COMPRESSED, *formats.ARCHIVES}
    suffixes = [
        s for table in (formats.FORMATS, formats.COMPRESSED, formats.ARCHIVES) for each in table.values() for s in each
    ]
    assert len(suffixes) == len(set(suffixes))
    assert not set(suffixes) & set(formats.UNSUPPORTED)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"format": "jsnl"}, "source.format: expected one of .*; got 'jsnl'; write 'jsonl'"),
        ({"max_record_bytes": 0}, "source.max_record_bytes: expected 1 or more, got 0"),
        ({"max_ratio": float("nan")}, "source.max_ratio: expected 1 or more, got nan"),
        ({"max_depth": -1}, "source.max_depth: expected 0 or more"),
        ({"delimiter": "::"}, "source.delimiter: expected one character, got '::'"),
        ({"pattern": "{name}.wav"}, r"source.pattern: expected \{label\} in it"),
    ],
)
def test_mistakes_in_a_config_are_named(fields, error):
    with pytest.raises(ValueError, match=error):
        Collect(**fields)


@pytest.mark.parametrize("name", ["a.txt", "x#1.txt", "50%.txt", "50%25.txt", "a%231", "a\udcff", "a\n", "\u2028"])
def test_names_are_spelt_apart(name):
    others = ["a.txt", "x#1.txt", "50%.txt", "50%25.txt", "a%231", "a#1", "a\udcff", "a%FF", "a\n", "a%0A", "\u2028"]
    assert sum(spelt(name) == spelt(other) for other in others) == 1
    assert "#" not in spelt(name)
    spelt(name).encode()


RUSSIAN = "Съешь же ещё этих мягких французских булок, да выпей чаю. "
WRITTEN = {
    "utf-8": SENTENCE,
    "utf-16-le": SENTENCE,
    "utf-16-be": SENTENCE,
    "cp1252": "Voix ambiguë d'un cœur qui au zéphyr préfère les jattes de kiwis. ",
    "cp1250": "Příliš žluťoučký kůň úpěl ďábelské ódy. Včera jsme koupili čerstvý chléb u řeky. ",
    "cp1251": RUSSIAN,
    "koi8-r": RUSSIAN,
    "cp1253": "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. Καλημέρα κόσμε, τι κάνεις σήμερα; ",
    "shift_jis": "色は匂へど散りぬるを我が世誰ぞ常ならむ有為の奥山今日越えて",
    "gb18030": "人之初性本善性相近习相远苟不教性乃迁",
}


@pytest.mark.parametrize("encoding", WRITTEN)
def test_texts_are_what_was_encoded(tmp_path, encoding):
    text = WRITTEN[encoding] * 20
    *entries, record = collected(tmp_path, "a.txt", text.encode(encoding))
    assert record == Record("a.txt", text)
    assert [entry.action for entry in entries] == ([] if encoding == "utf-8" else [CHANGED])


def test_marks_of_windows_in_english(tmp_path):
    text = "It\u2019s a \u201csmart quote\u201d in plain English \u2014 nothing more at the caf\u00e9."
    *_, record = collected(tmp_path, "a.txt", text.encode("cp1252"))
    assert record.text == text


def test_a_declared_charset_counts_before_a_guess():
    raw = "\u0436\u0443\u043a".encode("koi8-r")
    assert charset.decode(raw, declared="KOI8-R") == ("\u0436\u0443\u043a", "koi8-r")
    assert charset.decode("\u0153".encode("cp1252"), declared="iso-8859-1") == ("\u0153", "cp1252")  # as browsers do


def test_jsonl_is_what_json_says(tmp_path):
    rows = [{"id": f"k{i}", "meta": {"body": text, "n": i}, "url": "u", "tags": [1]} for i, text in enumerate(TEXTS)]
    raw = "\n".join(map(json.dumps, rows)).encode()
    records = collected(tmp_path, "a/b.jsonl", raw, field="meta.body")
    assert records == [
        Record(f"a/b.jsonl#{i}", text, fields={"id": f"k{i}", "url": "u"}) for i, text in enumerate(TEXTS)
    ]
    records = collected(tmp_path, "b.jsonl", raw, field="meta.body", id_field="id", fields=("meta.n", "tags", "none"))
    assert records[3] == Record("k3", TEXTS[3], fields={"meta.n": 3, "tags": "[1]", "none": None})


def test_csv_is_what_csv_says(tmp_path):
    made = io.StringIO()
    writer = csv.writer(made)
    writer.writerows([["text", "n"], *((f'{text}, "{text}"\nand', i) for i, text in enumerate(TEXTS))])
    expected = list(csv.DictReader(io.StringIO(made.getvalue(), newline="")))
    records = collected(tmp_path, "a.csv", made.getvalue().encode())
    assert [record.text for record in records] == [row["text"] for row in expected]
    rows = collected(tmp_path, "a.csv", made.getvalue().encode(), field="")
    assert [record.fields for record in rows] == expected
    assert collected(tmp_path, "a.tsv", b"text\tn\na,b\t2\n") == [Record("a.tsv#0", "a,b", fields={"n": "2"})]
    assert collected(tmp_path, "s.csv", b"text;n\na,b;2\n", delimiter=";")[0].text == "a,b"


def test_parquet_is_what_pyarrow_says(tmp_path):
    table = pyarrow.table(
        {
            "text": TEXTS,
            "n": list(range(9)),
            "image": [{"bytes": b"\x89PNG%d" % i} for i in range(9)],
            "flag": [None, *[True] * 8],
        }
    )
    made = io.BytesIO()
    parquet.write_table(table, made, row_group_size=4)
    records = collected(tmp_path, "a.parquet", made.getvalue(), payload_field="image.bytes")
    expected = table.to_pylist()
    assert [record.text for record in records] == TEXTS
    assert [record.payload for record in records] == [row["image"]["bytes"] for row in expected]
    assert [record.fields for record in records] == [{"n": row["n"], "flag": row["flag"]} for row in expected]
    assert [record.id for record in records] == [f"a.parquet#{i}" for i in range(9)]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_files_keep_their_names(tmp_path, pack):
    suffix = {gzip.compress: "gz", bz2.compress: "bz2", lzma.compress: "xz"}[pack]
    raw = b"".join(json.dumps({"text": text}).encode() + b"\n" for text in TEXTS)
    records = collected(tmp_path, f"a.jsonl.{suffix}", pack(raw[:300]) + pack(raw[300:]))
    assert [record.id for record in records] == [f"a.jsonl.{suffix}#{i}" for i in range(9)]
    assert [record.text for record in records] == TEXTS


def test_archives_hold_what_others_find_in_them(tmp_path):
    files = {f"{folder}/{i}.txt": text for folder, (i, text) in itertools.product(("x", "y" * 120), enumerate(TEXTS))}
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        for i, (name, text) in enumerate(files.items()):
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=bool(i % 2)) as file:
                file.write(text.encode())
    for format in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        tarred = io.BytesIO()
        with tarfile.open(fileobj=tarred, mode="w", format=format) as archive:
            for name, text in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(text.encode())
                archive.addfile(info, io.BytesIO(text.encode()))
        records = collected(tmp_path, "a.tar", tarred.getvalue())
        assert {record.id.removeprefix("a.tar/"): record.text for record in records} == files
    records = collected(tmp_path, "a.zip", zipped.getvalue())
    assert {record.id.removeprefix("a.zip/"): record.text for record in records} == files


def _messages():
    """Messages as the standard library writes them: charset, transfer, structure."""
    text = "Voix ambigu\u00eb d'un c\u0153ur\n=20 and a line that goes on " + "x" * 90 + "\n"
    for encoding, transfer in itertools.product(("utf-8", "cp1252"), ("base64", "quoted-printable", "8bit")):
        plain = EmailMessage()
        plain["Subject"] = (
            "Gr\u00fc\u00dfe und ein langer Betreff, der gefaltet werden muss, weil er so lang ist \u4eba"
        )
        plain["From"], plain["Date"] = "J\u00f6rg <j@example.com>", "Thu, 01 Jan 2004 00:00:00 +0000"
        plain.set_content(text, charset=encoding, cte=transfer)
        yield plain.as_bytes()
        plain.add_alternative(f"<p>{text}", subtype="html")
        yield plain.as_bytes()
        plain.add_attachment(b"\0\1", maintype="image", subtype="png", filename="x.png")
        yield plain.as_bytes()
        page = EmailMessage()
        page["Subject"] = "x"
        page.set_content(f"<p>{text}", subtype="html", charset=encoding, cte=transfer)
        page.add_related(b"\0", maintype="image", subtype="png")
        yield page.as_bytes()


def test_mails_are_what_the_standard_library_finds_in_them(tmp_path):
    messages = list(_messages())
    for raw in messages:
        expected = email.message_from_bytes(raw, policy=email.policy.default)
        body = expected.get_body(("plain", "html"))
        *_, record = collected(tmp_path, "a.eml", raw)
        assert record.text.strip() == body.get_content().strip()
        assert record.fields["subject"] == expected["subject"]
        assert record.fields.get("format", "plain") == body.get_content_subtype()
        assert record.fields["date"] == (expected["date"] or "")
        assert record.fields["from"] == (expected["from"] or "")
    box = b"".join(b"From a@example.com Thu Jan  1 00:00:00 2004\n" + raw + b"\n" for raw in messages)
    found = [each for each in collected(tmp_path, "a.mbox", box) if isinstance(each, Record)]
    assert [record.id for record in found] == [f"a.mbox#{i}" for i in range(len(messages))]


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "shift_jis", "koi8-r"])
def test_encoded_words_are_read(tmp_path, encoding):
    words = {"shift_jis": "\u65e5\u672c\u8a9e\u306e", "koi8-r": "\u0416\u0443\u043a"}.get(encoding, "Gr\u00fc\u00dfe")
    subject = f"{words * 12} and {words}"
    raw = b"Subject: " + Header(subject, encoding).encode().encode() + b"\n\nx"
    [record] = collected(tmp_path, "a.eml", raw)
    assert record.fields["subject"] == subject


def test_warc_is_what_fastwarc_finds(tmp_path):
    pages = [f"<html><p>{text}".encode() for text in TEXTS]
    answers = [b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + page for page in pages]
    chunked = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked += b"3\r\n<p>\r\n2\r\nhi\r\n0\r\n\r\n"
    raw = b"".join(itertools.chain(*((mails.warc(kind=b"request"), mails.warc(each)) for each in [*answers, chunked])))
    for name, packed in (("a.warc", raw), ("a.warc.gz", gzip.compress(raw))):
        found = fastwarc.ArchiveIterator(
            io.BytesIO(packed), record_types=fastwarc.WarcRecordType.response, parse_http=True
        )
        expected = [(record.headers["WARC-Target-URI"], record.reader.read()) for record in found]
        records = collected(tmp_path, name, packed)
        assert [(record.fields["url"], record.text.encode()) for record in records][:9] == expected[:9]
        assert records[9].text == "<p>hi"
        assert [record.id for record in records] == [f"{name}#{2 * i + 1}" for i in range(10)]


def test_pdf_is_what_pypdf_finds(tmp_path):
    [record] = collected(tmp_path, "a.pdf", mails.PDF)
    pages = pypdf.PdfReader(io.BytesIO(mails.PDF)).pages
    assert record.text == "\n\n".join(page.extract_text() for page in pages)
    assert SENTENCE in record.text
    assert record.fields == {"pages": 2, "title": ""}


def test_labels_of_pictures_and_clips(tmp_path):
    assert collected(tmp_path, "pets/cats/1.jpg", b"\xff\xd8") == [
        Record("pets/cats/1.jpg", payload=b"\xff\xd8", fields={"label": "cats"})
    ]
    [record] = collected(tmp_path, "7_jackson_3.wav", b"RIFF", pattern="{label}_{group}_{number}.wav")
    assert record.fields == {"label": "7", "group": "jackson", "number": "3"}
    archive = tables.tarred([("dogs/2.png", b"\x89PNG")])
    [record] = collected(tmp_path, "pets.tar", archive)
    assert (record.id, record.fields) == ("pets.tar/dogs/2.png", {"label": "dogs"})


def test_samples_of_webdataset(tmp_path):
    raw = tables.tarred(
        [
            ("x/1.jpg", b"\xff\xd8"),
            ("x/1.cls", b"3\n"),
            ("x/1.json", b'{"url": "u"}'),
            ("x/2.wav", b"R"),
            ("x/2.txt", b"hi"),
        ]
    )
    assert collected(tmp_path, "a.tar", raw, format="webdataset") == [
        Record("a.tar/x/1", payload=b"\xff\xd8", fields={"label": "3", "url": "u"}),
        Record("a.tar/x/2", "hi", b"R"),
    ]


def test_a_set_of_tfds_by_name(tmp_path):
    record_files.build_tfds(tmp_path, TEXTS)
    builder = tensorflow_datasets.builder("stories", data_dir=tmp_path)
    files = inputs.find([f"tfds:{builder.data_dir}/train"], cache_dir=tmp_path / "cache")
    records = [each for file in files for each in read(file.path, file.name, spec=Collect())]
    rows = builder.as_data_source("train")
    expected = {row["text"].decode(): row["meta"]["title"].decode() for row in rows}
    assert {record.text: record.fields["meta.title"] for record in records} == expected
    assert len(records) == len(TEXTS)


def test_a_file_behind_a_url(tmp_path):
    with fsspec.open("memory://texts/a.txt", "wb") as file:
        file.write(SENTENCE.encode())
    assert list(read("memory://texts/a.txt", "a.txt", spec=Collect())) == [Record("a.txt", SENTENCE)]
    [entry] = read("memory://texts/none.txt", "none.txt", spec=Collect())
    assert isinstance(entry, Entry)
    assert entry.rule == "collect.unreadable"


def test_a_full_disk_is_an_error_and_no_entry(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    made = io.BytesIO()
    parquet.write_table(pyarrow.table({"text": TEXTS}), made)
    with pytest.raises(OSError, match="No space left"):
        collected(tmp_path, "a.parquet.gz", gzip.compress(made.getvalue()))
