// A third-party identity provider for tests: npm's oidc-provider, told about one client and one kind of resource.
// Usage: node provider.mjs '{"issuer", "client_id", "client_secret", "redirect_uri", "scope"}'; prints "ready" when it listens.
import { Provider } from 'oidc-provider';

const told = JSON.parse(process.argv[2]);
const issuer = new URL(told.issuer);

const provider = new Provider(told.issuer, {
  clients: [
    {
      client_id: told.client_id,
      client_secret: told.client_secret,
      redirect_uris: [told.redirect_uri],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      id_token_signed_response_alg: 'RS256',
    },
    ...(told.jwks
      ? [
          {
            client_id: `${told.client_id}-key`,
            token_endpoint_auth_method: 'private_key_jwt',
            token_endpoint_auth_signing_alg: 'ES256',
            jwks: told.jwks,
            redirect_uris: [told.redirect_uri],
            grant_types: ['authorization_code', 'refresh_token'],
            response_types: ['code'],
            id_token_signed_response_alg: 'RS256',
          },
        ]
      : []),
  ],
  pkce: { required: () => true },
  scopes: ['openid', 'profile', 'offline_access'],
  claims: { openid: ['sub'], profile: ['name'] },
  conformIdTokenClaims: false,
  issueRefreshToken: async () => true,
  findAccount: async (_ctx, id) => ({ accountId: id, claims: async () => ({ sub: id, name: `Foreign ${id}` }) }),
  features: {
    devInteractions: { enabled: true },
    // Proofs are asked for only where a client sends one; then with a nonce (RFC 9449 s8).
    dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 1), requireNonce: () => true },
    resourceIndicators: {
      enabled: true,
      defaultResource: async (_ctx, _client, oneOf) => (Array.isArray(oneOf) ? oneOf[0] : oneOf),
      useGrantedResource: async () => true,
      getResourceServerInfo: async (_ctx, resource) => ({
        scope: told.scope,
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 300,
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
});

provider.listen(Number(issuer.port), issuer.hostname, () => console.log('ready'));
