"""What splitd knows, as plain values and functions: no Twisted, no files, no clock."""
