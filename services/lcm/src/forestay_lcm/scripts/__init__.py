"""The scripts of VNF packages as steps of operations; :mod:`forestay_lcm.sandbox` runs them (docs/scripts.md)."""
