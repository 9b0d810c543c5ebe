"""VNF LCM API version 1 (``/vnflcm/v1``; SOL003 2.6.1 as Tacker serves it, wire section 18) over the resources of version 2.

Rules: a request is checked in its own shape, turned into that of version 2, and goes on as one; what is shown is turned back.
Nothing is stored for version 1, so whatever is made through one version is seen through the other.
"""
