"""Cinder: volumes."""
