"""Module names of OpenStack Tacker that VNF packages import; only scripts in the sandbox see them."""
