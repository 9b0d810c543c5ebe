"""Neutron: networks, subnets, ports, routers, floating IPs and security groups."""
