"""Forestay package-mgmt service."""
