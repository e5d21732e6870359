// Starts an OpenID provider on a free port, for tests and for trying logins out.
//
//   node provider.mjs [REDIRECT_URI ...]
//
// Prints its issuer once it listens. Its own pages take any name and password. Clients: `gateway` and, with the secret in
// the request's body, `gateway-post`; both have the secret `secret`.
//
// For tests:
//   POST /test/claims {"aud": "x"}   further ID tokens have these claims in place of the right ones
//   POST /test/rotate                signs with a new key from now on, and publishes no other

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { SignJWT, decodeJwt, exportJWK, generateKeyPair, importJWK } from 'jose';
import { Provider } from 'oidc-provider';

const redirectUris = process.argv.slice(2);
if (redirectUris.length === 0) redirectUris.push('http://127.0.0.1:8080/auth/test/callback');

let issuer;
let key;
let handle;
let falseClaims = {};

const client = (id, method) => ({
  client_id: id,
  client_secret: 'secret',
  redirect_uris: redirectUris,
  token_endpoint_auth_method: method,
});

async function newKey() {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  return { ...(await exportJWK(privateKey)), kid: randomUUID(), alg: 'RS256', use: 'sig' };
}

/** A provider with a fresh key. What was stored by the one before stays: storage is the process's. */
async function renew() {
  key = await newKey();
  const provider = new Provider(issuer, {
    clients: [client('gateway', 'client_secret_basic'), client('gateway-post', 'client_secret_post')],
    jwks: { keys: [key] },
    cookies: { keys: ['a key for tests'] },
    claims: { openid: ['sub'], profile: ['name'] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, name: `<${id}>` }) }),
    ttl: { Interaction: 3600, Session: 3600, Grant: 3600, AccessToken: 3600, IdToken: 3600 },
  });
  provider.use(falsify);
  handle = provider.callback();
}

async function falsify(ctx, next) {
  await next();
  if (ctx.oidc?.route !== 'token' || !ctx.body?.id_token || Object.keys(falseClaims).length === 0) return;
  const claims = { ...decodeJwt(ctx.body.id_token), ...falseClaims };
  const header = { alg: 'RS256', kid: key.kid };
  ctx.body.id_token = await new SignJWT(claims).setProtectedHeader(header).sign(await importJWK(key, 'RS256'));
}

async function serve(request, response) {
  if (request.method !== 'POST' || !request.url.startsWith('/test/')) return handle(request, response);
  let body = '';
  for await (const chunk of request) body += chunk;
  if (request.url === '/test/rotate') await renew();
  else falseClaims = JSON.parse(body);
  response.writeHead(204).end();
}

const server = createServer(serve).listen(0, '127.0.0.1', async () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  await renew();
  console.log(`issuer ${issuer}`);
});
