"""HOT, the Heat Orchestration Template language: parsing, parameters, functions, dependencies. Pure, no input or output."""
