"""Forestay vim-registry service."""
