"""From stored content to an onboarded package: the contents, the reading in a process apart, the worker, the upkeep."""
