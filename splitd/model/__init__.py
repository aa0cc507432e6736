"""The data types and rules of splitd, as plain values and functions: no Twisted, no files, no clock."""
