"""Uploads from a form of a browser: `body` reads the form, `policy` what its author allows, `post` stores the file.

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
"""
