"""What services read of each other's streams, and ask of each other: types that another service than their owner uses."""
