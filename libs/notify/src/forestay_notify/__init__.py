"""Subscriptions to notifications and their delivery: the mechanism; what is told is the services' matter."""
