"""Runs the scripts of VNF packages, which nobody trusts, in processes that can harm nothing.

``runner`` is the port that the engine calls; ``child`` runs inside the sandbox (standard library only, no code of the
service); ``shim`` holds the module names of OpenStack Tacker that packages import, visible only to scripts.
"""
