"""Run as a program of its own, within limits that the kernel holds: the text of a PDF, page by page.

What a PDF can do to its reader (streams that unpack to gigabytes, loops, objects without end) ends with the program:

    python pdf_pages.py PAGES SECONDS MEMORY_BYTES OUTPUT_BYTES <file.pdf >lines.jsonl
"""

import json
import resource
import signal
import sys
from collections.abc import Iterable, Iterator
from typing import Any


def main(max_pages: int, max_seconds: int, max_bytes: int, max_output: int) -> None:
    """Writes a line for each page, and one about all of them: {"pages", "title"} or {"refused", "value"}."""
    resource.setrlimit(resource.RLIMIT_CPU, (max_seconds, max_seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (max_bytes, max_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_output, max_output))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        _write(_pages(max_pages))
    except MemoryError:
        _write([{"refused": "pdf_bytes", "value": f"more than {max_bytes}"}])


def _write(lines: Iterable[dict[str, Any]]) -> None:
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    for line in lines:
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _pages(max_pages: int) -> Iterator[dict[str, Any]]:
    import logging

    import pypdf
    from pypdf.errors import DependencyError, FileNotDecryptedError

    logging.disable()
    try:
        reader = pypdf.PdfReader(sys.stdin.buffer)
        if reader.is_encrypted and not reader.decrypt(""):
            raise FileNotDecryptedError("a password is needed")
        count = len(reader.pages)
    except (DependencyError, FileNotDecryptedError) as error:
        yield {"refused": "encrypted", "value": str(error)[:200]}
        return
    except MemoryError:
        raise
    except Exception as error:  # whatever a damaged file leads its reader into
        yield {"refused": "pdf", "value": f"{type(error).__name__}: {error}"[:200]}
        return
    if count > max_pages:
        yield {"refused": "pdf_pages", "value": count}
        return
    for number in range(count):
        try:
            yield {"page": number, "text": reader.pages[number].extract_text()}
        except MemoryError:
            raise
        except Exception as error:
            yield {"page": number, "lost": f"{type(error).__name__}: {error}"[:200]}
    yield {"pages": count, "title": _title(reader)}


def _title(reader: Any) -> str:
    try:
        return str(reader.metadata.title or "")[:1000] if reader.metadata else ""
    except Exception:
        return ""


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
