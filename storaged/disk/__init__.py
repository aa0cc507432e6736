"""Large parts, each a file of its own: how they are written, read, listed and put aside."""
