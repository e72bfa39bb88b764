// npm's openid-client against a running server. Reads what it is to use from its input, and writes a line per check; a line
// `visit ADDRESS` asks for a browser, whose answer it reads, and `device CODE` for somebody to type a code.

import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const hear = async () => (await lines.next()).value
const told = JSON.parse(await hear())
const client = await import(pathToFileURL(`${told.module}/build/index.js`).href)

const check = (name, holds) => console.log(`${holds ? 'ok' : 'FAILED'} ${name}`)
const refusal = async (call) => {
  try {
    await call()
    return ''
  } catch (fault) {
    return fault.error ?? fault.code ?? String(fault)
  }
}
const visit = async (address) => {
  console.log(`visit ${address.href}`)
  return new URL(await hear())
}

// ID tokens are verified against the published keys, though they came over TLS.
const strict = { execute: [client.enableNonRepudiationChecks] }
const methods = [['basic', client.ClientSecretBasic(told.secret)], ['form', client.ClientSecretPost(told.secret)]]
let config
for (const [name, method] of methods) {
  config = await client.discovery(new URL(told.issuer), told.web, undefined, method, strict)
  const given = await client.clientCredentialsGrant(config, { scope: told.scope })
  const answer = await client.fetchProtectedResource(config, given.access_token, new URL(told.resource), 'GET')
  check(`gets an application's token, its secret by ${name}`, answer.status === 200)
}
const metadata = config.serverMetadata()
check('discovers the issuer', metadata.issuer === told.issuer && metadata.supportsPKCE('S256'))
const unproved = await client.discovery(new URL(told.issuer), told.web, undefined, client.ClientSecretPost('wrong'), strict)
const challenge = await refusal(() => client.clientCredentialsGrant(unproved, { scope: told.scope }))
check('hears of a wrong secret', challenge === 'OAUTH_WWW_AUTHENTICATE_CHALLENGE')

const ask = async (more) => {
  const verifier = client.randomPKCECodeVerifier()
  const checks = { pkceCodeVerifier: verifier, expectedState: client.randomState(), expectedNonce: client.randomNonce() }
  const address = client.buildAuthorizationUrl(config, {
    redirect_uri: told.address,
    scope: told.scopes,
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state: checks.expectedState,
    nonce: checks.expectedNonce,
    ...more,
  })
  return [await visit(address), { ...checks, idTokenExpected: true }]
}
const [back, checks] = await ask({})
const given = await client.authorizationCodeGrant(config, back, checks)
check('gets a person’s tokens by code, PKCE, state, nonce and issuer', given.claims().sub && given.refresh_token)
const again = await refusal(() => client.authorizationCodeGrant(config, back, checks))
check('hears that a code is good once', again === 'invalid_grant')
const revoked = await client.fetchProtectedResource(config, given.access_token, new URL(told.resource), 'GET').catch((fault) => fault)
check('and sees by the challenge that its tokens ended', revoked.status === 401 && revoked.cause?.[0]?.scheme === 'bearer')

const [fresh, second] = await ask({ max_age: 600 })
const first = await client.authorizationCodeGrant(config, fresh, { ...second, maxAge: 600 })
check('finds the time of the sign-in', first.claims().auth_time > 0)
const next = await client.refreshTokenGrant(config, first.refresh_token, { scope: told.scopes })
check('refreshes', next.access_token !== first.access_token && next.claims().sub === first.claims().sub)
const [mixed, third] = await ask({})
mixed.searchParams.set('iss', 'https://other.example')
check('refuses an answer of another issuer', (await refusal(() => client.authorizationCodeGrant(config, mixed, third))) !== '')
const [silent] = await ask({ prompt: 'none', max_age: 0 })
check('hears that nobody proved themselves just now', silent.searchParams.get('error') === 'login_required')

const television = await client.discovery(new URL(told.issuer), told.television, undefined, client.None(), strict)
const flow = await client.initiateDeviceAuthorization(television, { scope: told.scopes })
console.log(`device ${flow.user_code}`)
const tokens = await client.pollDeviceAuthorizationGrant(television, flow)
check('gets a device’s tokens', tokens.claims().sub === first.claims().sub && tokens.refresh_token)
process.exit(0)
