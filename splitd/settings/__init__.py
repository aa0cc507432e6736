"""The settings of the front in two groups: where it stores files, and how it serves them.  `splitd.config` has all."""
