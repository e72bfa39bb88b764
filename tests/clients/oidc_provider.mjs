// A real OpenID provider (npm `oidc-provider`) on a free port of this machine, over TLS, with two people and plain forms.
// Arguments: the package's directory, a certificate file, a key file. Prints its issuer when it listens.

import { createServer } from "node:https";
import { readFileSync } from "node:fs";
import { generateKeyPairSync } from "node:crypto";
import { pathToFileURL } from "node:url";

const [, , directory, certificate, key] = process.argv;
const { Provider } = await import(pathToFileURL(`${directory}/lib/index.js`));

const people = {
  ann: { name: "Ann Lee", preferred_username: "ann@corp.example", email: "ann@corp.example", groups: ["scientists"] },
  bob: { name: "Bob Roe", preferred_username: "bob@corp.example", email: "bob@corp.example", groups: [] },
};

const jwk = (type, options, more) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: "jwk" }),
  use: "sig",
  ...more,
});

const configuration = (issuer) => ({
  jwks: {
    keys: [
      jwk("rsa", { modulusLength: 2048 }, { kid: "rsa" }),
      jwk("ec", { namedCurve: "P-256" }, { kid: "curve", alg: "ES256" }),
    ],
  },
  cookies: { keys: ["a key of this test alone"] },
  conformIdTokenClaims: false,
  claims: {
    openid: ["sub", "amr", "acr"],
    profile: ["name", "preferred_username"],
    email: ["email"],
    groups: ["groups"],
  },
  scopes: ["openid", "profile", "email", "groups"],
  enabledJWA: { idTokenSigningAlgValues: ["RS256", "PS256", "ES256"] },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) =>
    people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
  features: {
    devInteractions: { enabled: false },
    registration: { enabled: true, initialAccessToken: "register" },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => issuer,
      getResourceServerInfo: (_, resource) => ({
        scope: "openid",
        audience: resource,
        accessTokenFormat: "jwt",
        accessTokenTTL: 600,
        jwt: { sign: { alg: "RS256" } },
      }),
      useGrantedResource: () => true,
    },
  },
});

const page = (title, form) =>
  `<!doctype html><title>${title}</title><form method="post">${form}<button>Continue</button></form>`;

async function interact(provider, request, response) {
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  if (request.method !== "POST") {
    response.setHeader("content-type", "text/html");
    const fields = `<input name="user"><input name="factors" value="pwd">`;
    response.end(page(prompt.name, prompt.name === "login" ? fields : `<input name="agree" value="yes">`));
    return;
  }
  let body = "";
  for await (const piece of request) body += piece;
  const form = new URLSearchParams(body);
  if (prompt.name === "login" && form.get("user") === "") {
    const result = { error: "access_denied", error_description: "nobody there" };
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  } else if (prompt.name === "login") {
    const login = { accountId: form.get("user"), amr: form.get("factors").split(" ") };
    await provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false });
  } else {
    const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    grant.addResourceScope(provider.issuer, params.scope);
    const consent = { grantId: await grant.save() };
    await provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
  }
}

const server = createServer({ cert: readFileSync(certificate), key: readFileSync(key) });
server.listen(0, "127.0.0.1", () => {
  const issuer = `https://localhost:${server.address().port}`;
  const provider = new Provider(issuer, configuration(issuer));
  provider.on("server_error", (_, fault) => console.error(fault));
  const answer = provider.callback();
  server.on("request", (request, response) => {
    if (!request.url.startsWith("/interaction/")) return answer(request, response);
    interact(provider, request, response).catch((fault) => {
      console.error(fault);
      response.statusCode = 500;
      response.end(String(fault));
    });
  });
  console.log(issuer);
});
