"""ETSI NFV-SOL wire conventions and types."""
