"""The front, which cuts files into parts, places them on nodes, and joins them again."""

__version__ = "0.1.0"
