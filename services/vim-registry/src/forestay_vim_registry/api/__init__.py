"""The legacy API ``/v1.0``: requests in, commands out; read model in, representations out."""
