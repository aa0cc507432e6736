"""Clusters of real processes on real, small disks: file systems in memory, which only root can mount."""
