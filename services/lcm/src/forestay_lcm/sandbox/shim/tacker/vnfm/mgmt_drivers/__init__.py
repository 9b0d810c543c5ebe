"""LCM hooks of Tacker's first API."""
