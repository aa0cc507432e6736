"""Copies of the journal on nodes, and the epoch and lease by which only one front at a time changes anything.

`JournalCopies` is what the journal and the service use.  docs/takeover.md says what operators do with it.
"""
