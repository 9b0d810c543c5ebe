"""Keystone v3: projects, users, tokens, catalog."""
