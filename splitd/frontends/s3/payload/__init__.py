"""The bytes of a request's body: their framing, their checksums, and their way into an upload."""
