"""Stands in for oslo.log where the scripts' Python has none: the standard library's logging, on standard error."""
