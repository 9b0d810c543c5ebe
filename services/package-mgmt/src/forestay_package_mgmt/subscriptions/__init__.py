"""Who is told what happens to VNF packages, and in which words (SOL005 clauses 9.4.8 to 9.4.10, SOL003 10.4.7 to 10.4.9)."""
