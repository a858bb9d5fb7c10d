"""PDF: the text of its pages, taken by a process of its own, which the kernel ends where it goes on too long."""

import importlib.util
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import IO, Any

from input_pipeline.clean.collect import charset, pdf_pages
from input_pipeline.clean.collect.content import Content, Refused, changed
from input_pipeline.clean.collect.spec import Collect
from input_pipeline.clean.record import Entry, Record

_PROGRAM = str(pathlib.Path(pdf_pages.__file__))
_WAIT = 10  # times the seconds of computing, since a machine may have much else to do


def read(content: Content) -> Iterator[Record | Entry]:
    """The text of all pages, with an empty line between them; pages that cannot be read are told of and left out."""
    if importlib.util.find_spec("pypdf") is None:
        raise ValueError("PDF needs pypdf; pip install pypdf, or make setup-clean")
    with content.file() as file, tempfile.TemporaryFile() as output:
        size = file.seek(0, 2)
        if content.fault:
            raise content.fault
        if not 0 < size <= content.spec.max_record_bytes:
            raise Refused("record_bytes", size, content.spec.max_record_bytes) if size else Refused("empty", 0)
        file.seek(0)
        _run(file, output, content.spec)
        output.seek(0)
        pages = [json.loads(line) for line in output]
    yield from _record(pages, content)


def _run(file: IO[bytes], output: IO[bytes], spec: Collect) -> None:
    """Writes what `pdf_pages` finds; raises Refused where it did not come to its end."""
    limits = (spec.max_pdf_pages, spec.max_pdf_seconds, spec.max_pdf_bytes, spec.max_record_bytes)
    command = [sys.executable, "-I", _PROGRAM, *map(str, limits)]
    timeout = _WAIT * spec.max_pdf_seconds
    try:
        done = subprocess.run(command, stdin=file, stdout=output, stderr=subprocess.PIPE, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        raise Refused("pdf_seconds", f"more than {timeout} of waiting", timeout) from None
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise Refused("pdf_seconds", f"more than {spec.max_pdf_seconds}", spec.max_pdf_seconds)
    if done.returncode == -signal.SIGXFSZ:
        raise Refused("record_bytes", f"more than {spec.max_record_bytes} of text", spec.max_record_bytes)
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise Refused("pdf", last[:200] or f"exit code {done.returncode}", "a sound PDF file")


def _record(pages: list[dict[str, Any]], content: Content) -> Iterator[Record | Entry]:
    last = pages.pop()
    if "refused" in last:
        raise Refused(last["refused"], last["value"], getattr(content.spec, f"max_{last['refused']}", "a sound file"))
    texts = [page["text"] for page in pages if "text" in page]
    if not any(text.strip() for text in texts):
        raise Refused("no_text", f"{last['pages']} pages", "text")
    if lost := last["pages"] - len(texts):
        yield changed(content.name, "pdf_pages_lost", lost, 0)
    text = "\n\n".join(texts)
    charset.check(text)
    yield Record(content.name, text, fields={"pages": last["pages"], "title": last["title"]})
