"""What a file is: told by its suffix, and where that says nothing, by its first bytes."""

import codecs
import re

HEAD_BYTES = 4096  # that are looked at

# Format -> the suffixes that tell it. What holds records is a format; what holds files is a container.
FORMATS: dict[str, tuple[str, ...]] = {
    "text": (".txt", ".text", ".md", ".rst"),
    "html": (".html", ".htm", ".xhtml"),
    "jsonl": (".jsonl", ".ndjson", ".json"),
    "csv": (".csv", ".tsv"),
    "parquet": (".parquet",),
    "warc": (".warc", ".wet", ".wat"),
    "mail": (".eml",),
    "mbox": (".mbox", ".mbx"),
    "pdf": (".pdf",),
    "image": (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".avif"),
    "audio": (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".m4a"),
    "webdataset": (),  # a tar like any other: it has to be asked for
    "array_record": (".array_record", ".arrayrecord"),
}
COMPRESSED = {"gz": (".gz", ".tgz"), "bz2": (".bz2", ".tbz2", ".tbz"), "xz": (".xz", ".txz"), "zst": (".zst", ".tzst")}
ARCHIVES = {"tar": (".tar",), "zip": (".zip",)}
UNSUPPORTED = (
    *(".7z", ".rar", ".lz4", ".br", ".z", ".lzma", ".cab", ".deb", ".rpm", ".iso", ".dmg"),
    *(".docx", ".xlsx", ".pptx", ".odt", ".ods", ".epub", ".jar", ".apk", ".doc", ".xls", ".ppt"),
    *(".exe", ".dll", ".so", ".pyc", ".class", ".sqlite", ".pkl", ".pt", ".npy", ".npz", ".h5", ".tfrecord"),
)
_SUFFIXES = {
    suffix: kind for table in (FORMATS, COMPRESSED, ARCHIVES) for kind, suffixes in table.items() for suffix in suffixes
}
_INNER = {suffix: ".tar" for suffixes in COMPRESSED.values() for suffix in suffixes if suffix.startswith(".t")}
# A shard of TFDS: name-train.array_record-00000-of-00004
_SHARD = re.compile(r"(\.\w+)-\d+-of-\d+$")

_MAGIC: tuple[tuple[int, bytes, str], ...] = (  # offset, bytes, kind
    (0, b"\x1f\x8b", "gz"),
    (0, b"BZh", "bz2"),
    (0, b"\xfd7zXZ\0", "xz"),
    (0, b"\x28\xb5\x2f\xfd", "zst"),
    (0, b"PK\3\4", "zip"),
    (0, b"PK\5\6", "zip"),
    (257, b"ustar", "tar"),
    (0, b"%PDF-", "pdf"),
    (0, b"PAR1", "parquet"),
    (0, b"WARC/", "warc"),
    (0, b"\x89PNG\r\n\x1a\n", "image"),
    (0, b"\xff\xd8\xff", "image"),
    (0, b"GIF8", "image"),
    (0, b"II*\0", "image"),
    (0, b"MM\0*", "image"),
    (8, b"WEBP", "image"),
    (8, b"WAVE", "audio"),
    (0, b"fLaC", "audio"),
    (0, b"OggS", "audio"),
    (0, b"ID3", "audio"),
    (8, b"AIFF", "audio"),
    (0, b"7z\xbc\xaf\x27\x1c", "unsupported"),
    (0, b"Rar!\x1a\x07", "unsupported"),
)
_MBOX = re.compile(rb"From [^\n]*\d:\d\d[^\n]*\r?\n[!-9;-~]+:")
_MAIL = re.compile(rb"(?:[!-9;-~]+:[^\n]*\n(?:[ \t][^\n]*\n)*){3}")
_MAIL_ONLY = re.compile(
    rb"^(?:received|return-path|message-id|delivered-to|mime-version):", re.IGNORECASE | re.MULTILINE
)
_HTML = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)


def by_suffix(name: str) -> str:
    """A format, a container, "unsupported", or "" where the suffix says nothing."""
    suffix = _suffix(name)
    return "unsupported" if suffix in UNSUPPORTED else _SUFFIXES.get(suffix, "")


def by_magic(head: bytes) -> str:
    """The same, by the first HEAD_BYTES; text where nothing tells otherwise."""
    for offset, magic, kind in _MAGIC:
        if head.startswith(magic, offset):
            return kind
    plain = head.removeprefix(codecs.BOM_UTF8)
    if _HTML.match(plain):
        return "html"
    if _MBOX.match(plain):
        return "mbox"
    if _MAIL.match(plain) and _MAIL_ONLY.search(plain):
        return "mail"
    if plain.startswith((b'{"', b"{ ")):
        return "jsonl"
    return "text"


def unpacked(name: str) -> str:
    """The name of what a compressed file holds."""
    suffix = _suffix(name)
    if suffix not in _SUFFIXES or _SUFFIXES[suffix] not in COMPRESSED:
        return name
    return name[: -len(suffix)] + _INNER.get(suffix, "")


def _suffix(name: str) -> str:
    name = _SHARD.sub(r"\1", name.rpartition("/")[2])
    stem, dot, suffix = name.rpartition(".")
    return f".{suffix.lower()}" if stem and dot else ""
