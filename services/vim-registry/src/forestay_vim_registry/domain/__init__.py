"""What a registered VIM is, what can be asked of it and what follows. Pure: no I/O."""
