// A third-party company provider for tests: npm's oidc-provider with logins, services' own tokens, and token exchange
// (RFC 8693) as a grant of our writing, because it has none.
// Usage: node company.mjs '{"issuer", "keys", "clients", "people", "rights", "edges", "audiences"}'; prints "ready".
//   rights: {scope: [roles]}, edges: {client: {resource: [scopes]}}, audiences: {client: resource}
import { EmbeddedJWK, calculateJwkThumbprint, createLocalJWKSet, jwtVerify } from 'jose';
import { Provider, errors } from 'oidc-provider';

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const told = JSON.parse(process.argv[2]);
const issuer = new URL(told.issuer);
const publicKeys = createLocalJWKSet({ keys: told.keys.keys.map(({ d, ...key }) => key) });

const askable = (client, resource) => told.edges[client]?.[resource] ?? [];
const entitled = (person, scope) => (told.rights[scope] ?? []).some((role) => told.people[person].roles.includes(role));

function resourceServer(client, resource) {
  const scopes = askable(client.clientId, resource);
  if (scopes.length === 0) throw new errors.InvalidTarget('this client may ask for nothing there');
  const sign = { alg: 'ES256' };
  return { scope: scopes.join(' '), audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: 300, jwt: { sign } };
}

const provider = new Provider(told.issuer, {
  jwks: told.keys,
  clients: told.clients.map((client) => ({
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'ES256',
    id_token_signed_response_alg: 'ES256',
    response_types: client.grant_types.includes('authorization_code') ? ['code'] : [],
    ...client,
  })),
  enabledJWA: { idTokenSigningAlgValues: ['ES256'], clientAuthSigningAlgValues: ['ES256'], dPoPSigningAlgValues: ['ES256'] },
  pkce: { required: () => true },
  scopes: ['openid', 'profile'],
  claims: { openid: ['sub'], profile: ['name'] },
  conformIdTokenClaims: false,
  issueRefreshToken: async () => true,
  // Its own dispatcher posts to no loopback address, which is where everybody here is.
  fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
  findAccount: async (_ctx, id) =>
    id in told.people ? { accountId: id, claims: async () => ({ sub: id, name: told.people[id].name }) } : undefined,
  extraTokenClaims: async (_ctx, token) =>
    token.accountId ? { ...told.people[token.accountId].claims, ...token.extra } : undefined,
  // Everybody's consent is the company's: a person is asked nothing beyond who they are.
  async loadExistingGrant(ctx) {
    const { client, session, params, resourceServers } = ctx.oidc;
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope('openid profile');
    for (const resource of Object.keys(resourceServers ?? {})) {
      const scopes = askable(client.clientId, resource).filter((scope) => entitled(session.accountId, scope));
      grant.addResourceScope(resource, scopes.join(' '));
    }
    await grant.save();
    return grant;
  },
  features: {
    devInteractions: { enabled: true },
    backchannelLogout: { enabled: true },
    clientCredentials: { enabled: true },
    dPoP: { enabled: true },
    pushedAuthorizationRequests: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: async () => true,
      getResourceServerInfo: async (_ctx, resource, client) => resourceServer(client, resource),
    },
  },
});

async function subjectOf(token, client) {
  try {
    const audience = told.audiences[client.clientId];
    return (await jwtVerify(token, publicKeys, { issuer: told.issuer, audience, typ: 'at+jwt' })).payload;
  } catch {
    throw new errors.InvalidGrant('the subject token is not one for this client');
  }
}

async function provenKey(ctx, subject) {
  const proof = ctx.get('DPoP');
  if (!proof && !subject.cnf) return undefined;
  try {
    const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, { typ: 'dpop+jwt', maxTokenAge: '60s' });
    if (payload.htm !== 'POST' || payload.htu !== `${told.issuer}/token`) throw new Error('another request');
    return calculateJwkThumbprint(protectedHeader.jwk);
  } catch {
    throw new errors.InvalidDpopProof('the proof is false, or missing');
  }
}

async function exchange(ctx) {
  const { client, params } = ctx.oidc;
  const subject = await subjectOf(params.subject_token, client);
  if (!(subject.sub in told.people)) throw new errors.InvalidGrant('no person stands behind the subject token');
  const server = resourceServer(client, params.resource);
  const wanted = (params.scope ?? '').split(' ').filter(Boolean);
  const refused = wanted.filter((one) => !server.scope.split(' ').includes(one) || !entitled(subject.sub, one));
  if (refused.length > 0) throw new errors.InvalidScope('the person or this client is not entitled to it', refused.join(' '));
  const { act, txn = params.txn } = subject;
  const token = new provider.AccessToken({
    client,
    accountId: subject.sub,
    gty: 'token_exchange',
    extra: { act: { sub: client.clientId, ...(act && { act }) }, ...(txn && { txn }) },
  });
  token.resourceServer = new provider.ResourceServer(params.resource, server);
  token.scope = wanted.join(' ');
  const thumbprint = await provenKey(ctx, subject);
  if (thumbprint) token.setThumbprint('jkt', thumbprint);
  ctx.body = {
    access_token: await token.save(),
    issued_token_type: ACCESS_TOKEN,
    token_type: token.tokenType,
    expires_in: token.expiration,
    scope: token.scope,
  };
}

const sent = ['subject_token', 'subject_token_type', 'requested_token_type', 'resource', 'scope', 'txn'];
provider.registerGrantType(EXCHANGE, exchange, sent);
provider.listen(Number(issuer.port), issuer.hostname, () => console.log('ready'));
