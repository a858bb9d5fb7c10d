"""All hostile files by name.

    for name, hostile in HOSTILE.items(): hostile.write(folder / name)

All of them but those with a `spec` can lie in one folder and be read as one collection.
"""

from hostile_files import archives, mails, tables, texts
from hostile_files.case import Hostile

HOSTILE: dict[str, Hostile] = texts.CASES | archives.CASES | mails.CASES | tables.CASES
assert len(HOSTILE) == sum(len(room.CASES) for room in (texts, archives, mails, tables)), "a name stands twice"
