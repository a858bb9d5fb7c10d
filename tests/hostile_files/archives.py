"""Archives and compressed files that lie, or that unpack to more than they should."""

import bz2
import functools
import gzip
import io
import json
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable

from hostile_files.case import SENTENCE, Hostile, case, flipped, junk

TEXT = SENTENCE.encode()
_LINE = json.dumps({"text": SENTENCE}).encode() + b"\n"
_VARIED = b"".join(json.dumps({"text": f"{SENTENCE} {i * i * 7919}"}).encode() + b"\n" for i in range(3_000))


def _zstd(raw: bytes) -> bytes:
    import pyarrow

    return pyarrow.compress(raw, codec="zstd", asbytes=True)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": functools.partial(gzip.compress, mtime=0),
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": _zstd,
}


def zipped(members: Iterable[tuple[str, bytes]], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, raw in members:
            archive.writestr(zipfile.ZipInfo(name), raw, method)
    return made.getvalue()


def tarred(members: Iterable[tuple[str, bytes]], *, format: int = tarfile.PAX_FORMAT) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=format) as archive:
        for name, raw in members:
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            archive.addfile(info, io.BytesIO(raw))
    return made.getvalue()


def tar_of(kind: bytes, name: str = "odd", **fields: object) -> bytes:
    """A sound member, one of this kind, and another sound one."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for each in ("a.txt", name, "b.txt"):
            info = tarfile.TarInfo(each)
            if each == name:
                info.type = kind
                for key, value in fields.items():
                    setattr(info, key, value)
                archive.addfile(info)
            else:
                info.size = len(TEXT)
                archive.addfile(info, io.BytesIO(TEXT))
    return made.getvalue()


def deep(layers: int, pack: Callable[[bytes], bytes], raw: bytes) -> bytes:
    for _ in range(layers):
        raw = pack(raw)
    return raw


def patched(raw: bytes, place: int, value: bytes) -> bytes:
    place %= len(raw)
    return raw[:place] + value + raw[place + len(value) :]


def quine_of_overlaps(count: int) -> bytes:
    """Many members that are the same bytes (D. Fifield, "A better zip bomb", WOOT 2019, section 3)."""
    kernel = zlib.compressobj(9, zlib.DEFLATED, -15)
    raw = bytes(20 << 20)
    packed = kernel.compress(raw) + kernel.flush()
    crc = zlib.crc32(raw)
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 0, crc, len(packed), len(raw), 5, 0) + b"a.txt"
    central = b"".join(
        struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 8, 0, 0, crc, len(packed), len(raw), 9, 0, 0, 0, 0, 0, 0)
        + b"%05d.txt" % i
        for i in range(count)
    )
    body = local + packed
    return body + central + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(central), len(body), 0)


def _compressed() -> dict[str, Hostile]:
    """The same harm to each kind of compression."""
    cases: dict[str, Hostile] = {}
    for kind, pack in PACKERS.items():
        whole = pack(_VARIED)
        cases[f"empty.txt.{kind}"] = case(b"", "empty")
        cases[f"of_nothing.txt.{kind}"] = case(pack(b""), "empty")
        cases[f"junk.txt.{kind}"] = case(junk(3_000), "damaged")
        cases[f"plain_text.txt.{kind}"] = case(TEXT, "damaged")
        cases[f"only_a_head.txt.{kind}"] = case(whole[:8], "truncated" if kind != "zst" else "damaged")
        cases[f"half.txt.{kind}"] = case(whole[: len(whole) // 2], "truncated" if kind != "zst" else "damaged")
        if kind != "zst":  # written without a sum of what it holds
            cases[f"flipped.txt.{kind}"] = case(flipped(whole, len(whole) // 2), "damaged")
        cases[f"two_streams.txt.{kind}"] = case(pack(TEXT) + pack(TEXT), sound=".")
        cases[f"bomb.txt.{kind}"] = case(functools.partial(_bomb, pack), "ratio", large=True)
        cases[f"junk_within.txt.{kind}"] = case(pack(junk(3_000)), "binary")
        cases[f"{kind}_without_suffix"] = case(pack(TEXT), sound=".")
        cases[f"five_times.txt.{'.'.join([kind] * 5)}"] = case(deep(5, pack, TEXT), "depth")
        cases[f"four_times.txt.{'.'.join([kind] * 4)}"] = case(deep(4, pack, TEXT), sound=".")
    return cases


@functools.lru_cache(1)
def _zeros() -> bytes:
    return bytes(100 << 20)


def _bomb(pack: Callable[[bytes], bytes]) -> bytes:
    return pack(_zeros())


def _nested_bomb() -> bytes:
    """Nine archives, each with nine, each with nine bombs: 36 GB."""
    raw = zipped([("zeros.txt", bytes(50 << 20))])
    for _ in range(2):
        raw = zipped([(f"{i}.zip", raw) for i in range(9)])
    return raw


_ZIP = zipped([("a.txt", TEXT), ("b.txt", TEXT * 2), ("c.jsonl", _LINE * 3)])
_ZIP_ALL = "/a.txt /b.txt /c.jsonl#0 /c.jsonl#1 /c.jsonl#2"
_END = 22  # bytes of a zip's end
_CENTRAL = _ZIP.index(b"PK\1\2")
_BETWEEN = [("a.txt", TEXT), ("odd", b""), ("b.txt", TEXT)]


def _zip_named(name: str) -> bytes:
    return zipped([("a.txt", TEXT), (name, TEXT), ("b.txt", TEXT)])


ZIPS: dict[str, Hostile] = {
    "empty.zip": case(b"", "empty"),
    "junk.zip": case(junk(3_000), "zip_directory"),
    "of_nothing.zip": case(zipped([]), "empty"),
    "plain_text.zip": case(TEXT, "zip_directory"),
    "no_end.zip": case(_ZIP[:-_END], "zip_directory", _ZIP_ALL),
    "no_directory.zip": case(_ZIP[:_CENTRAL], "zip_directory", _ZIP_ALL),
    "cut_within_a_member.zip": case(_ZIP[: _CENTRAL - 5], "zip_directory truncated", "/a.txt /b.txt /c.jsonl#0"),
    "only_an_end.zip": case(_ZIP[-_END:], "zip_directory"),
    "after_a_program.zip": case(b"#!/bin/sh\n" * 50 + _ZIP, sound=_ZIP_ALL),
    "with_a_comment.zip": case(patched(_ZIP, -2, b"\x05\0") + b"hello", sound=_ZIP_ALL),
    "directory_too_large.zip": case(patched(_ZIP, -10, b"\xfe\xff\xff\xff"), "zip_directory", _ZIP_ALL),
    "directory_elsewhere.zip": case(patched(_ZIP, -6, b"\xf0\xff\xff\x7f"), "zip_directory", _ZIP_ALL),
    "zip64_without_locator.zip": case(patched(_ZIP, -10, b"\xff" * 8), "zip_directory", _ZIP_ALL),
    "damaged_directory.zip": case(patched(_ZIP, _ZIP.index(b"PK\1\2", _CENTRAL + 4), b"XX"), "zip_directory", "/a.txt"),
    "member_elsewhere.zip": case(patched(_ZIP, _CENTRAL + 42, b"\x07"), "zip_member", _ZIP_ALL.partition(" ")[2]),
    "wrong_sum.zip": case(patched(_ZIP, _CENTRAL + 16, b"\1\2\3\4"), "damaged", _ZIP_ALL.partition(" ")[2]),
    "wrong_size.zip": case(patched(_ZIP, _CENTRAL + 24, b"\1\0\0\0"), "damaged", _ZIP_ALL.partition(" ")[2]),
    "flipped_member.zip": case(flipped(_ZIP, 45), "damaged", _ZIP_ALL.partition(" ")[2]),
    "encrypted.zip": case(patched(_ZIP, _CENTRAL + 8, b"\1\0"), "encrypted", _ZIP_ALL.partition(" ")[2]),
    "unknown_method.zip": case(patched(_ZIP, _CENTRAL + 10, b"\x63\0"), "zip_method", _ZIP_ALL.partition(" ")[2]),
    "lzma.zip": case(zipped([("a.txt", TEXT)], method=zipfile.ZIP_LZMA), "zip_method"),
    "stored.zip": case(zipped([("a.txt", TEXT)], method=zipfile.ZIP_STORED), sound="/a.txt"),
    "parent.zip": case(_zip_named("../../etc/passwd"), "member_path", "/a.txt /b.txt"),
    "hidden_parent.zip": case(_zip_named("x/../../y.txt"), "member_path", "/a.txt /b.txt"),
    "absolute.zip": case(_zip_named("/etc/passwd"), "member_path", "/a.txt /b.txt"),
    "windows_path.zip": case(_zip_named("C:\\windows\\x.txt"), "member_path", "/a.txt /b.txt"),
    "backslash_parent.zip": case(_zip_named("..\\x.txt"), "member_path", "/a.txt /b.txt"),
    "same_name_twice.zip": case(
        zipped([("a.txt", TEXT), ("x/../a.txt", TEXT), ("./a.txt", TEXT)]), sound="/a.txt /a.txt@2 /a.txt@3"
    ),
    "place_in_a_name.zip": case(zipped([("a.jsonl", _LINE), ("a.jsonl#0", TEXT)]), sound="/a.jsonl#0 /a.jsonl%230"),
    "code_page_437.zip": case(
        zipped([("caf_.txt", TEXT)]).replace(b"caf_.txt", b"caf\x82.txt"), sound="/caf\u00e9.txt"
    ),
    "folders.zip": case(zipped([("x/", b""), ("x/y/", b""), ("x/y/a.txt", TEXT)]), sound="/x/y/a.txt"),
    "bomb.zip": case(
        lambda: zipped([("a.txt", TEXT), ("z.txt", _zeros()), ("b.txt", TEXT)]), "ratio", "/a.txt /b.txt", large=True
    ),
    "bomb_of_bombs.zip": case(_nested_bomb, "ratio", large=True),
    "overlapping.zip": case(functools.partial(quine_of_overlaps, 500), "ratio", large=True),
    "too_many.zip": case(
        zipped([(f"{i}.txt", TEXT) for i in range(9)]), "archive_members", "/0.txt /1.txt /2.txt", max_archive_members=3
    ),
    "too_much.zip": case(
        zipped([(f"{i}.txt", junk(3_000).hex().encode()) for i in range(5)]),
        "archive_bytes",
        "/0.txt",
        max_archive_bytes=10_000,
    ),
    "too_deep.zip": case(deep(5, lambda raw: zipped([("z.zip", raw)]), zipped([("a.txt", TEXT)])), "depth"),
    "document.docx": case(_ZIP, "unsupported"),
}

_TAR = tarred([("a.txt", TEXT), ("b.txt", TEXT * 20), ("c.txt", TEXT)], format=tarfile.USTAR_FORMAT)
_BLOCK = 512


def _tar_named(name: str) -> bytes:
    return tarred([("a.txt", TEXT), (name, TEXT), ("b.txt", TEXT)])


def _checked(header: bytes) -> bytes:
    """A header with its sum made right."""
    blank = patched(header, 148, b" " * 8)
    return patched(header, 148, b"%06o\0 " % sum(blank))


def _tar_sized(size: bytes) -> bytes:
    """The first member says that it has another size."""
    return _checked(patched(_TAR[:_BLOCK], 124, size)) + _TAR[_BLOCK:]


def _extended(kind: bytes, size: int, raw: bytes) -> bytes:
    """A header of extended headers that says it has this size, then a sound archive."""
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT) + raw + bytes(-len(raw) % _BLOCK) + _TAR


_TAR_ALL = "/a.txt /b.txt /c.txt"

TARS: dict[str, Hostile] = {
    "empty.tar": case(b"", "empty"),
    "zeros.tar": case(bytes(10_240), "empty"),
    "junk.tar": case(junk(3_000), "tar_header"),
    "plain_text.tar": case(TEXT, "tar_header"),
    "no_end.tar": case(_TAR[: 8 * _BLOCK], "", _TAR_ALL),
    "cut_within_a_member.tar": case(_TAR[: 4 * _BLOCK], "truncated", "/a.txt"),
    "cut_within_a_header.tar": case(_TAR[: 2 * _BLOCK + 100], "tar_header", "/a.txt"),
    "damaged_header.tar": case(flipped(_TAR, 2 * _BLOCK + 3), "tar_header", "/a.txt /c.txt"),
    "damaged_first_header.tar": case(flipped(_TAR, 3), "tar_header", "/b.txt /c.txt"),
    "wrong_sum.tar": case(patched(_TAR, 148, b"000000\0 "), "tar_header", "/b.txt /c.txt"),
    "size_is_no_number.tar": case(_tar_sized(b"hello world\0"), "tar_header", "/b.txt /c.txt"),
    "size_is_negative.tar": case(_tar_sized(b"\xff" * 12), "tar_header", "/b.txt /c.txt"),
    "size_is_huge.tar": case(_tar_sized(b"77777777777\0"), "record_bytes truncated"),
    "size_is_beyond_64_bits.tar": case(_tar_sized(b"\x80" + b"\xff" * 11), "tar_header", "/b.txt /c.txt"),
    "two_in_a_row.tar": case(_TAR + _TAR, "", f"{_TAR_ALL} /a.txt@2 /b.txt@2 /c.txt@2"),
    "parent.tar": case(_tar_named("../../etc/passwd"), "member_path", "/a.txt /b.txt"),
    "hidden_parent.tar": case(_tar_named("x/../../y.txt"), "member_path", "/a.txt /b.txt"),
    "absolute.tar": case(_tar_named("/etc/cron.d/x"), "member_path", "/a.txt /b.txt"),
    "long_parent.tar": case(_tar_named("../" * 90 + "x.txt"), "member_path", "/a.txt /b.txt"),
    "no_name.tar": case(_tar_named(""), sound="/a.txt /. /b.txt"),
    "name_not_utf8.tar": case(_tar_named("caf\udce9.txt"), sound="/a.txt /caf%E9.txt /b.txt"),
    "newline_in_a_name.tar": case(_tar_named("x\ny.txt"), sound="/a.txt /x%0Ay.txt /b.txt"),
    "symbolic_link.tar": case(tar_of(tarfile.SYMTYPE, linkname="/etc/passwd"), "member_type", "/a.txt /b.txt"),
    "hard_link.tar": case(tar_of(tarfile.LNKTYPE, linkname="a.txt"), "member_type", "/a.txt /b.txt"),
    "link_to_itself.tar": case(tar_of(tarfile.SYMTYPE, linkname="odd"), "member_type", "/a.txt /b.txt"),
    "device.tar": case(tar_of(tarfile.CHRTYPE, devmajor=1, devminor=5), "member_type", "/a.txt /b.txt"),
    "block_device.tar": case(tar_of(tarfile.BLKTYPE, devmajor=8), "member_type", "/a.txt /b.txt"),
    "fifo.tar": case(tar_of(tarfile.FIFOTYPE), "member_type", "/a.txt /b.txt"),
    "folder.tar": case(tar_of(tarfile.DIRTYPE), "", "/a.txt /b.txt"),
    "sparse.tar": case(tar_of(tarfile.GNUTYPE_SPARSE), "member_type", "/a.txt /b.txt"),
    "long_name_cut.tar": case(_extended(tarfile.GNUTYPE_LONGNAME, 400, b"x" * 400)[:600], "truncated"),
    "huge_long_name.tar": case(_extended(tarfile.GNUTYPE_LONGNAME, 8 << 30, b""), "tar_header"),
    "huge_extended.tar": case(_extended(tarfile.XHDTYPE, 8 << 30, b""), "tar_header"),
    "senseless_extended.tar": case(_extended(tarfile.XHDTYPE, 90, b"9999 path=x\n" * 7 + b"xxxxxx"), "", _TAR_ALL),
    "zero_extended.tar": case(_extended(tarfile.XHDTYPE, 9, b"0 path=x\n"), "", _TAR_ALL),
    "extended_parent.tar": case(_extended(tarfile.XHDTYPE, 18, b"18 path=../../xyz\n"), "member_path", "/b.txt /c.txt"),
    "bomb_within.tar.gz": case(
        lambda: PACKERS["gz"](tarred([("a.txt", TEXT), ("z.txt", _zeros())])),
        "ratio record_bytes",
        "/a.txt",
        large=True,
    ),
    "half.tar.gz": case(
        lambda: (raw := PACKERS["gz"](tarred([("a.txt", TEXT), ("b.txt", _VARIED)])))[: len(raw) // 2],
        "truncated",
        "/a.txt",
    ),
    "half.tgz": case(
        lambda: PACKERS["gz"](tarred([("a.txt", TEXT), ("b.txt", junk(90_000).hex().encode())]))[:50_000],
        "truncated",
        "/a.txt",
    ),
    "zip_in_tar_in_gz.tgz": case(
        PACKERS["gz"](tarred([("z.zip", zipped([("a.txt.gz", PACKERS["gz"](TEXT))]))])), sound="/z.zip/a.txt.gz"
    ),
    "tar_without_suffix": case(_TAR, sound=_TAR_ALL),
}

OTHERS: dict[str, Hostile] = {
    "trailing.txt.gz": case(PACKERS["gz"](TEXT) + b"and more", "trailing", "."),
    "trailing_zeros.txt.gz": case(PACKERS["gz"](TEXT) + bytes(600), sound="."),
    "wrong_sum.txt.gz": case(flipped(PACKERS["gz"](TEXT), -6), "damaged"),
    "wrong_size.txt.gz": case(flipped(PACKERS["gz"](TEXT), -2), "damaged"),
    "half.jsonl.gz": case(PACKERS["gz"](_LINE) + PACKERS["gz"](_LINE * 9)[:30], "truncated", "#0"),
    "flipped_sum.jsonl.gz": case(flipped(PACKERS["gz"](_LINE * 3), -6), "damaged", "#0 #1 #2"),
    "trailing.txt.xz": case(PACKERS["xz"](TEXT) + b"and more of it", "trailing", "."),
    "padded.txt.xz": case(PACKERS["xz"](TEXT) + bytes(400), sound="."),
    "asks_for_4_gb.txt.xz": case(lambda: _xz_of_4_gb(), "damaged"),
    "archive.7z": case(b"7z\xbc\xaf\x27\x1c" + junk(90), "unsupported"),
    "7z_without_suffix": case(b"7z\xbc\xaf\x27\x1c" + junk(90), "unsupported"),
    "archive.rar": case(b"Rar!\x1a\x07\0" + junk(90), "unsupported"),
}


def _xz_of_4_gb() -> bytes:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 4096}]
    raw = bytearray(lzma.compress(TEXT, filters=filters))
    raw[16] = 40  # the dictionary's size, 4 GiB - 1, in the block's header, which has a sum of its own
    raw[20:24] = struct.pack("<L", zlib.crc32(bytes(raw[12:20])))
    return bytes(raw)


CASES = _compressed() | ZIPS | TARS | OTHERS
