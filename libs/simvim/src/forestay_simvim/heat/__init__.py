"""Heat: stacks, their resources and the engine that brings them about."""
