"""Names to manifests, uploads under way, and the parts that are to go."""
