"""The catalog in a PostgreSQL database, which several fronts may share.

A batch of changes is one transaction: it locks and loads what the changes touch, judges them by the code of the
journalled catalog, and writes what is different afterwards.
"""
