"""``/policy/v1``: Forestay's own API for policies, see ``docs/policy.md``."""
