"""The inside of the sandbox. Standard library only: it may run with another Python than the service's."""
