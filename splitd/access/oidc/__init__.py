"""Single sign-on by OpenID Connect: `Issuer` proves the tokens of the one issuer that `users.yaml` names.

`keys` reads the keys that the issuer publishes, `tokens` proves a token by them; both are pure.  `Issuer` fetches the
keys, keeps them fresh, and goes on with the known ones for a while if the issuer is away.
"""
