"""Mails, mailboxes, WARC files and PDFs that are damaged or made to exhaust their reader."""

import base64
import functools
import gzip
import zlib

from hostile_files.case import SENTENCE, Hostile, case, flipped, junk, placed, sparse

TEXT = SENTENCE.encode()
_HEAD = b"From: a@example.com\nSubject: A fox\nDate: Thu, 1 Jan 2004 00:00:00 +0000\n"
_FROM = b"From a@example.com Thu Jan  1 00:00:00 2004\n"
MAIL = _HEAD + b"\n" + TEXT + b"\n"


def parts(*bodies: bytes, boundary: bytes = b"b", kind: bytes = b"mixed") -> bytes:
    """A multipart message."""
    head = _HEAD + b'Content-Type: multipart/%s; boundary="%s"\n\n' % (kind, boundary)
    return head + b"".join(b"--%s\n%s\n" % (boundary, body) for body in bodies) + b"--%s--\n" % boundary


_PLAIN = b"Content-Type: text/plain\n\n" + TEXT
_HTML = b"Content-Type: text/html\n\n<p>" + TEXT
_BINARY = b"Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n" + base64.b64encode(junk(900))


def _nested(depth: int) -> bytes:
    body = _PLAIN
    for level in range(depth):
        body = b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n%s\n--b%d--\n' % (level, level, body, level)
    return _HEAD + body


def _typed(header: bytes, body: bytes = TEXT) -> bytes:
    return _HEAD + header + b"\n\n" + body


MAILS: dict[str, Hostile] = {
    "empty.eml": case(b"", "empty"),
    "junk.eml": case(b"\x00" + junk(3_000), "mail"),
    "no_headers.eml": case(b"\n" + TEXT, "mail"),
    "plain_text.eml": case(TEXT, "mail"),
    "no_body.eml": case(_HEAD, "empty"),
    "blank_body.eml": case(_HEAD + b"\n \n\n", "empty"),
    "only_a_picture.eml": case(_typed(b"Content-Type: image/png"), "no_body"),
    "only_attachments.eml": case(parts(_BINARY, _BINARY), "no_body"),
    "attached_text.eml": case(parts(b"Content-Disposition: attachment\n" + _PLAIN), "no_body"),
    "blank_plain_and_html.eml": case(parts(b"\n \n", _HTML, kind=b"alternative"), sound="."),
    "no_boundary.eml": case(_typed(b"Content-Type: multipart/mixed"), sound="."),
    "other_boundary.eml": case(_typed(b"Content-Type: multipart/mixed; boundary=x", b"--y\n\n" + TEXT), sound="."),
    "no_last_boundary.eml": case(parts(_PLAIN)[:-6], sound="."),
    "long_boundary.eml": case(parts(_PLAIN, boundary=b"b" * 5_000), sound="."),
    "boundary_of_signs.eml": case(parts(_PLAIN, boundary=b"(.*)+$[a-"), sound="."),
    "boundaries_within_lines.eml": case(parts(b"\n" + b"--b--b--b" * 20_000), sound="."),
    "empty_parts.eml": case(parts(*[b""] * 500, _PLAIN), sound="."),
    "thousands_of_parts.eml": case(parts(_PLAIN, *[_BINARY] * 5_000), "mail_parts", "."),
    "text_after_thousands.eml": case(parts(*[_BINARY] * 5_000, _PLAIN), "mail_parts no_body"),
    "nested_30.eml": case(_nested(30), sound="."),
    "nested_3000.eml": case(functools.partial(_nested, 3_000), "mail_depth no_body"),
    "itself_within.eml": case(
        _typed(
            b"Content-Type: multipart/mixed; boundary=b", b"--b\nContent-Type: multipart/mixed; boundary=b\n\n" * 5_000
        ),
        "mail_parts empty",
    ),
    "long_header.eml": case(b"Subject: " + b"x" * 900_000 + b"\n\n" + TEXT, sound="."),
    "longer_headers.eml": case(b"Subject: " + b"x" * 1_200_000 + b"\n\n" + TEXT, "header_bytes"),
    "many_headers.eml": case(b"".join(b"X-%d: y\n" % i for i in range(60_000)) + b"\n" + TEXT, sound="."),
    "endless_folding.eml": case(b"Subject: x\n" + b" \n" * 200_000 + b"\n" + TEXT, sound="."),
    "nul_in_a_header.eml": case(b"Subject: a\0b\n\n" + TEXT, sound="."),
    "nul_in_the_body.eml": case(_HEAD + b"\nabc\0def", "binary"),
    "unknown_charset.eml": case(
        _typed(b"Content-Type: text/plain; charset=klingon", TEXT + b" \xe9t\xe9"), "encoding", "."
    ),
    "charset_is_a_codec.eml": case(
        _typed(b"Content-Type: text/plain; charset=zlib", TEXT + b" \xe9t\xe9"), "encoding", "."
    ),
    "charset_is_empty.eml": case(
        _typed(b'Content-Type: text/plain; charset=""', TEXT + b" \xe9t\xe9"), "encoding", "."
    ),
    "charset_not_ascii.eml": case(
        _typed(b"Content-Type: text/plain; charset=\xff\xfe", TEXT + b" \xe9t\xe9"), "encoding", "."
    ),
    "charset_lies.eml": case(_typed(b"Content-Type: text/plain; charset=utf-8", TEXT + b" \xe9t\xe9"), "encoding", "."),
    "iso_2022_jp.eml": case(
        _typed(b"Content-Type: text/plain; charset=iso-2022-jp", "日本語の文章です。".encode("iso2022_jp")),
        "encoding",
        ".",
    ),
    "broken_parameters.eml": case(_typed(b"Content-Type: text/plain; charset*0*=x''; charset*=;;;=\""), sound="."),
    "no_such_type.eml": case(_typed(b"Content-Type: ///;;;"), sound="."),
    "empty_word.eml": case(b"Subject: =?utf-8?q??= =?x?y?z?= =?utf-8?b?====?=\n\n" + TEXT, sound="."),
    "malformed_words.eml": case(b"Subject: =?klingon?q?x?= =?utf-8?b?!!!?= =?utf-16?b?AAA?=\n\n" + TEXT, sound="."),
    "many_words.eml": case(b"Subject: " + b"=?utf-8?q?x?= " * 50_000 + b"\n\n" + TEXT, sound="."),
    "words_without_end.eml": case(b"Subject: " + b"=?utf-8?q?" * 80_000 + b"\n\n" + TEXT, sound="."),
    "broken_base64.eml": case(
        _typed(b"Content-Transfer-Encoding: base64", b"VGhlIHF1aWNrIGJyb3du!!!=IGZveA=\n=x"), sound="."
    ),
    "no_base64.eml": case(_typed(b"Content-Transfer-Encoding: base64", b"\xff\xff\xff"), "empty"),
    "broken_quoted.eml": case(
        _typed(b"Content-Transfer-Encoding: quoted-printable", b"a=ZZ b= c=\n" + TEXT + b"="), sound="."
    ),
    "unknown_transfer.eml": case(_typed(b"Content-Transfer-Encoding: x-magic"), sound="."),
    "long.eml": case(MAIL + b"x" * 9_000, "record_bytes", max_record_bytes=4_096),
    "carriage_returns.eml": case(MAIL.replace(b"\n", b"\r\n"), sound="."),
    "mail_without_suffix": case(b"Received: from x\nMessage-ID: <1>\n" + MAIL, sound="."),
}

BOXES: dict[str, Hostile] = {
    "empty.mbox": case(b"", "empty"),
    "no_from_line.mbox": case(MAIL + MAIL, sound="#0"),
    "text_before.mbox": case(TEXT + b"\n\n" + _FROM + MAIL, "mail", "#1"),
    "only_from_lines.mbox": case((_FROM + b"\n") * 3, "mail"),
    "from_in_the_body.mbox": case(_FROM + MAIL + b"\nFrom here on it is text.\n\n" + _FROM + MAIL, sound="#0 #1"),
    "one_too_long.mbox": case(
        _FROM + MAIL + b"\n" + _FROM + MAIL + b"x" * 9_000 + b"\n\n" + _FROM + MAIL,
        "record_bytes",
        "#0 #2",
        max_record_bytes=4_096,
    ),
    "one_binary.mbox": case(_FROM + MAIL + b"\n" + _FROM + _HEAD + b"\nab\0c\n\n" + _FROM + MAIL, "binary", "#0 #2"),
    "cut_short.mbox.gz": case(
        gzip.compress((_FROM + MAIL + b"\n") * 2, mtime=0) + gzip.compress(junk(99), mtime=0)[:60], "truncated", "#0"
    ),
    "100_mb_message.mbox": placed(
        sparse(100 << 20, begin=_FROM + MAIL + b"\n" + _FROM, end=b"\n\n" + _FROM + MAIL),
        "record_bytes",
        "#0 #2",
        large=True,
    ),
    "mbox_without_suffix": case(_FROM + MAIL + b"\n" + _FROM + MAIL, sound="#0 #1"),
}

_PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>" + TEXT


def warc(body: bytes = _PAGE, *, length: bytes | None = None, kind: bytes = b"response", more: bytes = b"") -> bytes:
    length = b"%d" % len(body) if length is None else length
    head = b"WARC/1.0\r\nWARC-Type: " + kind + b"\r\nWARC-Target-URI: http://example.com/\r\n" + more
    return head + b"Content-Type: application/http\r\nContent-Length: " + length + b"\r\n\r\n" + body + b"\r\n\r\n"


def _answered(answer: bytes) -> bytes:
    """One answer between two sound ones."""
    return warc() + warc(answer) + warc()


_SIZE = len(_PAGE)
WARCS: dict[str, Hostile] = {
    "empty.warc": case(b"", "empty"),
    "junk.warc": case(junk(3_000), "warc"),
    "plain_text.warc": case(TEXT, "warc"),
    "only_a_request.warc": case(warc(kind=b"request"), "empty"),
    "length_too_long.warc": case(
        warc() + warc(length=b"%d" % (_SIZE + 90)) + warc() + warc(), "warc_length", "#0 #2 #3"
    ),
    "length_too_short.warc": case(warc() + warc(length=b"9") + warc() + warc(), "warc_length", "#0 #2 #3"),
    "length_beyond_the_end.warc": case(warc() + warc(length=b"99999"), "warc_length", "#0"),
    "length_of_terabytes.warc": case(warc() + warc(length=b"9999999999999") + warc(), "warc_length", "#0"),
    "length_negative.warc": case(warc() + warc(length=b"-5") + warc(), "warc_length", "#0 #2"),
    "length_no_number.warc": case(warc() + warc(length=b"many") + warc(), "warc_length", "#0 #2"),
    "length_missing.warc": case(warc() + warc(length=b"") + warc(), "warc_length", "#0 #2"),
    "length_of_digits.warc": case(warc() + warc(length=b"9" * 5_000) + warc(), "warc_length", "#0 #2"),
    "junk_between.warc": case(warc() + junk(500) + b"\n" + warc(), "warc", "#0 #2"),
    "cut_short.warc": case(warc() + warc()[:-30], "warc_length", "#0"),
    "cut_within_headers.warc": case(warc() + warc()[:30], "warc", "#0"),
    "no_blank_lines.warc": case(warc()[:-4] + warc(), "warc_length", "#1"),
    "endless_headers.warc": case(warc() + b"WARC/1.0\r\n" + b"X: y\r\n" * 200_000 + warc(), "header_bytes", "#0 #2"),
    "huge_record.warc": case(
        warc() + warc(_PAGE + b"x" * 9_000) + warc(), "record_bytes", "#0 #2", max_record_bytes=4_096
    ),
    "picture.warc": case(_answered(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\nx"), "content_type", "#0 #2"),
    "not_found.warc": case(_answered(b"HTTP/1.1 404 Not Found\r\n\r\nx"), "http_status", "#0 #2"),
    "no_answer.warc": case(_answered(b"hello"), "http", "#0 #2"),
    "empty_answer.warc": case(_answered(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"), "empty", "#0 #2"),
    "brotli.warc": case(_answered(b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\nxx"), "content_encoding", "#0 #2"),
    "bomb.warc": case(
        lambda: _answered(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b" " * (80 << 20), mtime=0)
        ),
        "record_bytes",
        "#0 #2",
        large=True,
    ),
    "damaged_gzip.warc": case(
        _answered(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + flipped(gzip.compress(TEXT, mtime=0), 14)),
        "damaged",
        "#0 #2",
    ),
    "false_chunks.warc": case(
        _answered(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n" + TEXT), sound="#0 #1 #2"
    ),
    "binary_page.warc": case(
        _answered(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + junk(900)), "binary", "#0 #2"
    ),
    "cut_short.warc.gz": case(gzip.compress(warc(), mtime=0) + gzip.compress(warc(), mtime=0)[:60], "truncated", "#0"),
}


def pdf(*contents: bytes, filters: bytes = b"") -> bytes:
    """A PDF with a page for each stream of drawing operators."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * i) for i in range(len(contents)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, len(contents)),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for i, raw in enumerate(contents):
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents %d 0 R/Resources<</Font<</F 3 0 R>>>>>>"
            % (5 + 2 * i)
        )
        objects.append(b"<</Length %d%s>>stream\n%s\nendstream" % (len(raw), filters, raw))
    made, places = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    trailer = b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, len(made))
    return made + b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + table + trailer


_SHOWN = b"BT /F 9 Tf (%s) Tj ET" % TEXT
PDF = pdf(_SHOWN, _SHOWN)
_FLATE = b"/Filter/FlateDecode"

PDFS: dict[str, Hostile] = {
    "empty.pdf": case(b"", "empty"),
    "junk.pdf": case(junk(3_000), "pdf"),
    "only_a_head.pdf": case(b"%PDF-1.7\n", "pdf"),
    "half.pdf": case(PDF[: len(PDF) // 2], "pdf"),
    "no_table.pdf": case(PDF[: PDF.index(b"xref\n")] + PDF[PDF.index(b"trailer") :], sound="."),
    "table_elsewhere.pdf": case(PDF.replace(b"startxref\n", b"startxref\n9"), sound="."),
    "no_text.pdf": case(pdf(b"0 0 9 9 re f"), "no_text"),
    "parent_of_itself.pdf": case(PDF.replace(b"/Kids[4 0 R 6 0 R]", b"/Kids[2 0 R 6 0 R]"), "pdf"),
    "unpacks_to_80_mb.pdf": case(
        lambda: pdf(zlib.compress(b" " * (80 << 20)), zlib.compress(_SHOWN), filters=_FLATE), "pdf_pages_lost", "."
    ),
    "too_many_pages.pdf": case(PDF, "pdf_pages", max_pdf_pages=1),
    "too_long.pdf": case(PDF, "record_bytes", max_record_bytes=300),
    "pdf_without_suffix": case(PDF, sound="."),
}

CASES = MAILS | BOXES | WARCS | PDFS
