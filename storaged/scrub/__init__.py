"""The scrub of a node: reads every part at a gentle rate, and finds those that are rotten.  It deletes nothing."""
