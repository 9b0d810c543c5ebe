"""``/vnfpkgm/v1``: VNF package management over HTTP (SOL005 clause 9, as OpenStack Tacker serves it)."""
