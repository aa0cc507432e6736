"""The front door for HTTP and WebDAV clients: one module per method."""
