// An issuer of OpenID Connect for tests: `node issuer.mjs PORT`.  Anybody logs in, as anybody; bert is in a group.
import { Provider } from "oidc-provider";

const port = Number(process.argv[2]);
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{ client_id: "console", client_secret: "the secret & more", redirect_uris: ["http://127.0.0.1/"] }],
  pkce: { required: () => true },
  claims: { openid: ["sub"], email: ["email", "email_verified"], groups: ["groups"] },
  cookies: { keys: ["of a test"] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@example.org`, email_verified: true, groups: id === "bert" ? ["staff"] : [] }),
  }),
});

// The port of the front is known only when it runs.
provider.Client.prototype.redirectUriAllowed = (uri) => /^http:\/\/127\.0\.0\.1:\d+\/\.splitd\/oidc\/back$/.test(uri);
provider.Client.prototype.postLogoutRedirectUriAllowed = (uri) => /^http:\/\/127\.0\.0\.1:\d+\/$/.test(uri);
provider.listen(port, "127.0.0.1");
