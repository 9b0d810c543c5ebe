"""What policies are and how they decide, as pure functions. No I/O."""
