"""What the linter looks at."""

from __future__ import annotations

import msgspec
from forestay_sol.vnfd import Vnfd

from forestay_csar.archive import Archive
from forestay_csar.definitions import Definitions
from forestay_csar.documents import Documents, Tree
from forestay_csar.entry import Entry


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A package that could be read."""

    archive: Archive
    entry: Entry
    documents: Documents
    definitions: Definitions
    vnfd: Vnfd

    def topology(self, flavour_id: str) -> Tree:
        """The topology template of a flavour."""
        topologies = list(self.definitions.topologies)
        path = ("substitution_mappings", "properties", "flavour_id")
        return next((each for each in topologies if str(each.at(*path).value) == flavour_id), topologies[0])
