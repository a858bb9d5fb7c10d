"""Names of what archives hold: never a path outside, never the same one twice."""

import posixpath

from input_pipeline.clean.collect.content import Content, Refused, spelt


class Names:
    """The members of one archive that were met so far."""

    def __init__(self, archive: Content) -> None:
        self._archive = archive
        self._seen: set[str] = set()

    def id(self, name: str) -> str:
        """What a member's ids begin with; the second of a name gets "@2".

        Raises:
          Refused: nothing is ever written there, but a path that leads out of its archive was made to do harm.
        """
        plain = posixpath.normpath(name.replace("\\", "/"))
        if plain.startswith("/") or plain.split("/")[0] == ".." or plain[1:2] == ":" or "\0" in name:
            raise Refused("member_path", spelt(name)[:200], "a path within the archive")
        return self._unique(f"{self._archive.name}/{spelt(plain)}")

    def refused(self, name: str) -> str:
        """An id for the entry of a member that is left out."""
        return self._unique(f"{self._archive.name}/{spelt(name)[:200]}")

    def _unique(self, id: str) -> str:
        found, count = id, 1
        while found in self._seen:
            count += 1
            found = f"{id}@{count}"
        self._seen.add(found)
        return found
