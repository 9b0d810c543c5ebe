"""Who is told what happens to VNF instances, and in which words (SOL003 clauses 5.4.18 to 5.4.20, wire section 5)."""
