"""Nova: servers, server groups, flavors, zones."""
