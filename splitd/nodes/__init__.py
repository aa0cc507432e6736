"""The storage servers as the front knows them: the registry, the file that lists them, the probe of a new one."""
