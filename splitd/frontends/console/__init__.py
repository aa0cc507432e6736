"""The console: a page of ours in the browser, its assets, and the JSON that it asks for.

All of it lies below `/.splitd/`.  Files themselves are read and changed by WebDAV, with the page as with any client.
"""
