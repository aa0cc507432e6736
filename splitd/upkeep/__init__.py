"""Work that nobody waits for: the reaper, the sweep, the rebalance."""
