"""Small parts, many in one file: append-only packs, and an index of where each part lies."""
