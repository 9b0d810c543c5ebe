"""The resource "VNF snapshots": its read model and API, the steps by which operations claim and fill one, and its deletion."""
