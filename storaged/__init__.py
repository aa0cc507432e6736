"""storaged: a storage server.  It keeps parts on its disk and knows nothing of files."""
