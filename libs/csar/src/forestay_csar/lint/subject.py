"""What the linter looks at."""

from __future__ import annotations

import msgspec
from forestay_sol.vnfd import Vnfd

from forestay_csar.archive import Archive
from forestay_csar.definitions import Definitions
from forestay_csar.documents import Documents
from forestay_csar.entry import Entry


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A package that could be read."""

    archive: Archive
    entry: Entry
    documents: Documents
    definitions: Definitions
    vnfd: Vnfd
