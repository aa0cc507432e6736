"""Journals: records in order, durable on demand.  Known to the catalog alone."""
