"""The seams of splitd.

    front doors → IObjectStore → ICatalog, IUploadLedger, IPartMoves, INamespace, ILocks → IJournal
                               ↘ INodeRegistry → IPartStore (storaged.parts.interfaces)
                               ↘ IReaper

Above the catalog nobody leans on state that only one process has: a catalog may be a database under several fronts.
"""
