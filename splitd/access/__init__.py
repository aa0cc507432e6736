"""Users and what they may do: `users.yaml`, logins, and the store limited to one user.

`UsersFile` keeps the users as the file says.  `Logins` finds the `Principal` of a request's credentials.
`LimitedStore` is the store as one principal sees it: the one place where grants are judged.
"""
