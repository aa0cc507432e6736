"""Small parts, many in one file: append-only packs, and an index of what lies where."""
