// The peer: npm's `oidc-provider`, a certified OpenID provider, issuing ES256 access tokens for client credentials over TLS.
// Started with a directory that holds `chain.pem` and `key.pem`; says its port on standard output.
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { join } from "node:path";
import { Provider } from "oidc-provider";

const dir = process.argv[2];
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const key = { ...privateKey.export({ format: "jwk" }), use: "sig", alg: "ES256", kid: "k1" };
const audience = "https://management.azure.com";
const provider = new Provider("https://localhost", {
  clients: [
    {
      client_id: "bench",
      client_secret: "x".repeat(47),
      grant_types: ["client_credentials"],
      response_types: [],
      redirect_uris: [],
      token_endpoint_auth_method: "client_secret_post",
      id_token_signed_response_alg: "ES256",
    },
  ],
  jwks: { keys: [key] },
  cookies: { keys: ["of no importance"] },
  ttl: { ClientCredentials: 3600 },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => audience,
      getResourceServerInfo: () => ({
        scope: "all",
        audience,
        accessTokenTTL: 3600,
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: "ES256" } },
      }),
    },
  },
});
provider.proxy = true;
const tls = { cert: readFileSync(join(dir, "chain.pem")), key: readFileSync(join(dir, "key.pem")) };
const server = createServer(tls, provider.callback());
server.keepAliveTimeout = 600_000;
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
