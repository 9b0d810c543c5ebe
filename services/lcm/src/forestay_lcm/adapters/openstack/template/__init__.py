"""What a stack is made of, pure: its template, parameters and files, for each operation.

* :mod:`blueprint`, and where user data has a say :mod:`wanted`, put it together.
* Templates: :mod:`parsing` (as Heat reads them), :mod:`hot` (what changes in a BaseHOT), :mod:`vnfcs` (a resource for each VNFC),
  :mod:`group_sizes`, :mod:`tosca` (from the VNFD).
* Parameters: :mod:`nfv`, :mod:`connectivity` (networks), :mod:`zones`.
"""
