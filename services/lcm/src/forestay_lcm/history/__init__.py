"""What happened to VNF instances: as they were, why they are as they are, and what happens to them just now."""
