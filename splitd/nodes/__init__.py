"""The front's view of the storage servers: the registry, the file that lists them, the probe of a new one."""
