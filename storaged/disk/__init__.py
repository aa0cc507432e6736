"""Large parts, each in a file of its own: they are written, read, listed, deleted and moved to the trash."""
