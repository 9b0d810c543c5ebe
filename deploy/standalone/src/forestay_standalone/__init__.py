"""All of Forestay in one process, and the forestay command."""
