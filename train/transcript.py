"""Text from token ids as they come: whole characters alone, and nothing of a stop string."""

from collections.abc import Callable, Sequence

UNFINISHED = "\ufffd"  # what decoders write for bytes that are not, or not yet, UTF-8


class Transcript:
    """The text of one row, which is cut before the stop string that is complete first.

    The cut depends on the text alone, not on how tokens or calls divide it. Of two stop strings that end at the same
    character, the longer one counts.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], stop: Sequence[str] = ()):
        """`decode` gives the text of ids; more ids change nothing before its last unfinished character."""
        self.is_stopped = False
        self._decode, self._stop = decode, tuple(stop)
        self._ids: list[int] = []
        self._num_shown = 0  # characters

    def add(self, ids: Sequence[int]) -> str:
        """-> the text that is certain now and was not given before. What may become a stop string is held back."""
        self._ids += ids
        text = self._decode(self._ids).rstrip(UNFINISHED)
        return self._show(text, num_certain=len(text) - longest_beginning(text, self._stop))

    def end(self) -> str:
        """-> the rest, when no more ids come."""
        text = self._decode(self._ids)
        return self._show(text, num_certain=len(text))

    def _show(self, text: str, *, num_certain: int) -> str:
        if self.is_stopped:
            return ""
        # What was shown is no part of a stop string: its beginnings were held back.
        cut = find_first(text, self._stop, start=self._num_shown)
        if cut >= 0:
            self.is_stopped = True
            num_certain = cut
        shown = text[self._num_shown : num_certain]
        self._num_shown += len(shown)
        return shown


def find_first(text: str, stop: Sequence[str], *, start: int = 0) -> int:
    """Where the stop string begins that is complete first, at or after `start`; -1: none is."""
    begins = {string: text.find(string, start) for string in stop}
    found = [(begin + len(string), begin) for string, begin in begins.items() if begin >= 0]
    return min(found)[1] if found else -1


def longest_beginning(text: str, stop: Sequence[str]) -> int:
    """How many last characters of a text may be the beginning of a stop string that goes on."""
    return max(
        (size for string in stop for size in range(1, len(string)) if text.endswith(string[:size])),
        default=0,
    )
