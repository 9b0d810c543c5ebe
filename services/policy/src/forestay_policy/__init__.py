"""Forestay policy service."""
