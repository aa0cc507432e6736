"""Journals, which keep records in order and make them durable on demand.  Only the catalog uses them."""
