"""``/vnffm/v1``: fault management over HTTP (SOL003 clause 7)."""
