"""Part of the module tree that VNF packages import."""
