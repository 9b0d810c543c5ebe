"""The life of a VNF package as pure functions: state, commands, decisions. No I/O."""
