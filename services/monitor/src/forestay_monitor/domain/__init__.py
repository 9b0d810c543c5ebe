"""The life of an alarm and what raises one, as pure functions. No I/O."""
