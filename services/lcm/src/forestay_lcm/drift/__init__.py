"""Drift: what a VIM has that the log does not know, and the other way round. It is told, not repaired."""
