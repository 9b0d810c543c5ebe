"""Forestay lcm service."""
