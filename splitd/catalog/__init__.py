"""The catalog: names and their files, uploads under way, and doomed parts."""
