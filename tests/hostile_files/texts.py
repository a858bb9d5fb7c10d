"""Plain text, pages and JSON Lines that are none."""

import codecs
import json
import os
import pathlib
import socket

from hostile_files.case import SENTENCE, Hostile, case, junk, placed, sparse

_RUSSIAN = "Съешь же ещё этих мягких французских булок, да выпей чаю. " * 8
_JAPANESE = "色は匂へど散りぬるを我が世誰ぞ常ならむ有為の奥山今日越えて浅き夢見じ酔ひもせず。" * 8
_FRENCH = "Voix ambiguë d'un cœur qui au zéphyr préfère les jattes de kiwis. " * 8
_GOOD = json.dumps({"text": SENTENCE}).encode() + b"\n"
TEXT = SENTENCE.encode()


def _socket(path: pathlib.Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path may be 108 bytes long
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(path.name)
    os.chdir(here)


def _between(line: bytes) -> bytes:
    """Lines of JSON with this one between sound ones."""
    return _GOOD + line + b"\n" + _GOOD


SPECIAL: dict[str, Hostile] = {
    "folder.txt": placed(lambda path: path.mkdir(), "unreadable"),
    "folder.parquet": placed(lambda path: path.mkdir(), "unreadable"),
    "dangling.txt": placed(lambda path: path.symlink_to("nowhere"), "unreadable"),
    "loop.txt": placed(lambda path: path.symlink_to(path.name), "unreadable"),
    "fifo.txt": placed(os.mkfifo, "unreadable"),
    "fifo.parquet": placed(os.mkfifo, "unreadable"),
    "socket.jsonl": placed(_socket, "unreadable"),
    "device.txt": placed(lambda path: path.symlink_to("/dev/zero"), "unreadable"),
    "tty.jsonl": placed(lambda path: path.symlink_to("/dev/null"), "unreadable"),
}

TEXTS: dict[str, Hostile] = {
    "empty.txt": case(b"", "empty"),
    "only_a_mark.txt": case(codecs.BOM_UTF8, "empty"),
    "junk.txt": case(junk(5_000), "binary"),
    "junk_without_suffix": case(junk(5_000), "binary"),
    "one_nul.txt": case(TEXT + b"\0" + TEXT, "binary"),
    "late_nul.txt": case(TEXT * 200 + b"\0", sound="."),
    "zeros.txt": case(bytes(10_000), "binary"),
    "controls.txt": case(b"a\x01b\x02c\x03d" * 50, "binary"),
    "few_controls.txt": case(TEXT * 10 + b"\x01", sound="."),
    "escapes_of_a_terminal.txt": case(b"\x1b[1m" + TEXT + b"\x1b[0m", sound="."),
    "elf.txt": case(b"\x7fELF\x02\x01\x01" + bytes(9) + junk(500), "binary"),
    "windows_1252.txt": case(_FRENCH.encode("cp1252"), "encoding", "."),
    "windows_1251.txt": case(_RUSSIAN.encode("cp1251"), "encoding", "."),
    "koi8_r.txt": case(_RUSSIAN.encode("koi8-r"), "encoding", "."),
    "shift_jis.txt": case(_JAPANESE.encode("shift_jis"), "encoding", "."),
    "euc_jp.txt": case(_JAPANESE.encode("euc_jp"), "encoding", "."),
    "gb18030.txt": case("人之初性本善性相近习相远苟不教性乃迁".encode("gb18030") * 20, "encoding", "."),
    "utf8_with_mark.txt": case(codecs.BOM_UTF8 + TEXT, sound="."),
    "utf16_le_marked.txt": case(codecs.BOM_UTF16_LE + SENTENCE.encode("utf-16-le"), "encoding", "."),
    "utf16_be_marked.txt": case(codecs.BOM_UTF16_BE + SENTENCE.encode("utf-16-be"), "encoding", "."),
    "utf16_le_unmarked.txt": case(SENTENCE.encode("utf-16-le"), "encoding", "."),
    "utf16_be_unmarked.txt": case(SENTENCE.encode("utf-16-be"), "encoding", "."),
    "utf32_le_marked.txt": case(codecs.BOM_UTF32_LE + SENTENCE.encode("utf-32-le"), "encoding", "."),
    "utf16_odd.txt": case(codecs.BOM_UTF16_LE + SENTENCE.encode("utf-16-le") + b"x", "encoding", "."),
    "utf16_lone_surrogate.txt": case(codecs.BOM_UTF16_LE + b"a\0\x00\xd8b\0" * 9, "encoding", "."),
    "utf8_one_wrong_byte.txt": case(_JAPANESE.encode()[:300] + b"\xff" + _JAPANESE.encode(), "encoding", "."),
    "utf8_cut_short.txt": case(_JAPANESE.encode()[:-1], "encoding", "."),
    "utf8_surrogates.txt": case(_JAPANESE.encode() + b"\xed\xa0\x80", "encoding", "."),
    "utf8_overlong.txt": case(_JAPANESE.encode() + b"\xc0\xaf", "encoding", "."),
    "one_wrong_byte.txt": case(TEXT + b"\xff", "encoding", "."),
    "carriage_returns.txt": case(TEXT + b"\r" + TEXT, sound="."),
    "too_long.txt": case(b"x" * 5_000, "record_bytes", max_record_bytes=4_096),
    "2_gb_of_zeros.txt": placed(sparse(2 << 30), "record_bytes", large=True),
    "name with # and % and\nnewline.txt": case(TEXT, sound="."),
    os.fsdecode(b"name_\xff_not_utf8.txt"): case(TEXT, sound="."),
    "empty.html": case(b"", "empty"),
    "junk.html": case(junk(3_000), "binary"),
    "lying_meta.html": case(b"<meta charset=shift_jis><p>" + _FRENCH.encode("cp1252"), "encoding", "."),
    "unknown_meta.html": case(b"<meta charset=klingon><p>" + _FRENCH.encode("cp1252"), "encoding", "."),
    "codec_of_bytes_in_meta.html": case(b"<meta charset=base64><p>" + _FRENCH.encode("cp1252"), "encoding", "."),
    "idna_in_meta.html": case(b"<meta charset=idna><p>" + _FRENCH.encode("cp1252"), "encoding", "."),
    "page_without_suffix": case(b"\n<!DOCTYPE html><title>x</title>" + TEXT, sound="."),
    "deep.html": case(b"<div>" * 50_000, sound="."),
    "comments_without_suffix": case(b"<!--" * 1_000 + TEXT, sound="."),
}

JSON: dict[str, Hostile] = {
    "empty.jsonl": case(b"", "empty"),
    "blank.jsonl": case(b"\n \n\t\n", "empty"),
    "junk.jsonl": case(junk(4_000).replace(b"\n", b"") + b"\n" + _GOOD, "binary", "#1"),
    "not_json.jsonl": case(_between(b"hello"), "json", "#0 #2"),
    "cut_short.jsonl": case(_GOOD + _GOOD[:20], "json", "#0"),
    "two_values.jsonl": case(_between(b'{"text": "a"} {"text": "b"}'), "json", "#0 #2"),
    "an_array.jsonl": case(_between(b'["text"]'), "field", "#0 #2"),
    "a_string.jsonl": case(_between(b'"text"'), "field", "#0 #2"),
    "null.jsonl": case(_between(b"null"), "field", "#0 #2"),
    "no_field.jsonl": case(_between(b'{"body": "x"}'), "field", "#0 #2"),
    "text_is_null.jsonl": case(_between(b'{"text": null}'), "field", "#0 #2"),
    "text_is_nan.jsonl": case(_between(b'{"text": NaN}'), "field", "#0 #2"),
    "text_is_an_object.jsonl": case(_between(b'{"text": {"a": 1}}'), "field", "#0 #2"),
    "text_is_empty.jsonl": case(_between(b'{"text": ""}'), "empty", "#0 #2"),
    "nan.jsonl": case(_between(b'{"text": "x y", "n": NaN}'), "not_finite", "#0 #1 #2"),
    "infinity.jsonl": case(_between(b'{"text": "x y", "n": -Infinity, "m": 1e999}'), "not_finite", "#0 #1 #2"),
    "large_integer.jsonl": case(
        _between(b'{"text": "x y", "n": 123456789012345678901234}'), "large_integer", "#0 #1 #2"
    ),
    "endless_integer.jsonl": case(_between(b'{"text": "x", "n": ' + b"9" * 10_000 + b"}"), "json", "#0 #2"),
    "lone_surrogate.jsonl": case(_between(rb'{"text": "x \ud800 y"}'), "surrogates", "#0 #1 #2"),
    "surrogate_in_a_name.jsonl": case(_between(rb'{"text": "x y", "\udc00": "\ud800"}'), sound="#0 #1 #2"),
    "paired_surrogates.jsonl": case(_between(rb'{"text": "x \ud83d\ude00 y"}'), sound="#0 #1 #2"),
    "nul_in_text.jsonl": case(_between(rb'{"text": "x \u0000 y"}'), "binary", "#0 #2"),
    "nul_in_a_line.jsonl": case(_between(b'{"text": "x\0"}'), "json", "#0 #2"),
    "deep_arrays.jsonl": case(_between(b"[" * 100_000), "json", "#0 #2"),
    "deep_objects.jsonl": case(_between(b'{"text":' * 100_000 + b"1" + b"}" * 100_000), "json", "#0 #2"),
    "deep_in_a_field.jsonl": case(
        _between(b'{"text": "x y", "deep": ' + b"[" * 800 + b"]" * 800 + b"}"), sound="#0 #1 #2", fields=("deep",)
    ),
    "twice_the_same_key.jsonl": case(_between(b'{"text": "a", "text": "b c"}'), sound="#0 #1 #2"),
    "single_quotes.jsonl": case(_between(b"{'text': 'x'}"), "json", "#0 #2"),
    "latin_1_line.jsonl": case(
        _between(json.dumps({"text": _FRENCH}, ensure_ascii=False).encode("latin-1", "replace")), "encoding", "#0 #1 #2"
    ),
    "utf16.jsonl": case((_GOOD + _GOOD).decode().encode("utf-16"), "encoding", "#0 #1"),
    "marked.jsonl": case(codecs.BOM_UTF8 + _GOOD, sound="#0"),
    "crlf.jsonl": case(_GOOD.replace(b"\n", b"\r\n") * 2, sound="#0 #1"),
    "long_line.jsonl": case(_between(b'"' + b"x" * 9_000 + b'"'), "record_bytes", "#0 #2", max_record_bytes=4_096),
    "2_gb_line.jsonl": placed(sparse(2 << 30, begin=_GOOD, end=b"\n" + _GOOD), "record_bytes", "#0 #2", large=True),
    "pretty.json": case(json.dumps({"text": "x"}, indent=1).encode(), "json"),
    "no_id.jsonl": case(_GOOD, "field", id_field="key"),
    "id_is_an_object.jsonl": case(b'{"text": "x", "key": {}}', "id_field", id_field="key"),
    "empty_id.jsonl": case(b'{"text": "x", "key": ""}', "id_field", id_field="key"),
}

CASES = SPECIAL | TEXTS | JSON
