"""Protocol-level simulators of VIMs."""
