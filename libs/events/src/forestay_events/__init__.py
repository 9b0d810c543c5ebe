"""The append-only event log, its verified copy, work queue, blobs, secrets and telemetry."""
