"""Processes that serve clients, and the one that keeps the catalog: what they tell each other, and who starts them.

`docs/decisions/0080-workers-share-one-catalog.md` says why it is built like this.
"""
