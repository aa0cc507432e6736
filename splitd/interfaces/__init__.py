"""The interfaces between the packages of splitd.

    front doors → IObjectStore → ICatalog, INamespace, ILocks, IUploadLedger, IDoomedParts, IPartMoves → IJournal
                               ↘ INodeRegistry → IPartStore (storaged.parts.interfaces)
                               ↘ IReaper

No code above the catalog depends on state that only one process has: a catalog may be a database that several fronts
share.
"""
