// A certified OpenID Connect provider over TLS, as its settings (a JSON file) say. Every request is a line on standard output.
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import Provider from "oidc-provider";

const settings = JSON.parse(readFileSync(process.argv[2], "utf8"));

const provider = new Provider(settings.issuer, {
  clients: settings.clients,
  jwks: settings.jwks,
  cookies: { keys: ["only for tests"] },
  pkce: { required: () => true },
  scopes: ["openid", "profile", "email", "groups"],
  claims: { openid: ["sub"], profile: ["name", "preferred_username"], email: ["email", "email_verified"], groups: ["groups"] },
  conformIdTokenClaims: settings.claims_by_userinfo,
  clientAuthMethods: settings.methods,
  enabledJWA: { idTokenSigningAlgValues: settings.algorithms },
  findAccount: (_, id) => settings.people[id] && { accountId: id, claims: () => ({ sub: id, ...settings.people[id] }) },
});
provider.on("server_error", (_, error) => console.error(error));

const answer = provider.callback();
const server = createServer({ cert: readFileSync(settings.cert), key: readFileSync(settings.key) }, (request, response) => {
  console.log(`${request.method} ${request.url.split("?")[0]}`);
  answer(request, response);
});
server.listen(settings.port, settings.host, () => console.log("listening"));
