"""Files that operations read: lists of words, and evaluation sets."""

from input_pipeline import remote


def read_text(path: str) -> str:
    """The text of a file on this machine or at a URL.

    Raises:
      ValueError: it cannot be read, or is not UTF-8.
    """
    try:
        if remote.is_url(path):
            system, place = remote.file_system(path, field="steps")
            return bytes(system.cat_file(place)).decode("utf-8-sig")
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"files: expected a readable file in UTF-8, got {path}: {error}") from None
