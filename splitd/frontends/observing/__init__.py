"""What the front tells of the requests that it answers: metrics, an access log, an audit log."""
