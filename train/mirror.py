"""A workdir on a bucket, which cannot be appended to: its files are kept on this machine and copied at each flush."""

import tempfile
from pathlib import Path
from typing import Any

from train.console import Sink


class Mirror(Sink):
    """Copies a folder of this machine to a URL at each flush, and fetches what a session goes on from."""

    def __init__(self, url: str):
        import fsspec

        try:
            self._remote, self._root = fsspec.url_to_fs(url.rstrip("/"))
        except (ImportError, ValueError) as error:
            raise ValueError(f"--workdir={url} cannot be reached: {error}") from error
        self._spool = tempfile.TemporaryDirectory(prefix="meshwright-")
        self.folder = Path(self._spool.name) / Path(self._root).name  # a run keeps its name
        self.folder.mkdir()
        for name in ("metrics.jsonl", "samples.jsonl", "sessions.jsonl", "run.log"):
            if self._remote.exists(f"{self._root}/{name}"):
                self._remote.get_file(f"{self._root}/{name}", str(self.folder / name))

    def record(self, facts: dict[str, Any]) -> None:
        self.flush()

    def flush(self) -> None:
        self._remote.put(f"{self.folder}/", f"{self._root}/", recursive=True)

    def close(self) -> None:
        self.flush()
        self._spool.cleanup()
