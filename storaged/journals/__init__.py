"""The copy of the front's journal that a node keeps, and the epoch by which it refuses fronts that were replaced."""
