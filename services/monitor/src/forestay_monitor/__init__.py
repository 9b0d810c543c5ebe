"""Forestay monitor service."""
