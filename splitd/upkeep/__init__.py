"""Background work: the reaper, the sweep, the rebalance."""
