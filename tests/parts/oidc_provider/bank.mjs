// A third-party bank for tests: npm's oidc-provider, which knows one client and one kind of payment (PAR, RAR, DPoP).
// Usage: node bank.mjs '{"issuer", "client_id", "jwks", "keys", "redirect_uri", "resource", "accounts": {sub: iban}}'; prints "ready".
import { Provider } from 'oidc-provider';

const told = JSON.parse(process.argv[2]);
const issuer = new URL(told.issuer);

const provider = new Provider(told.issuer, {
  jwks: told.keys,
  clients: [
    {
      client_id: told.client_id,
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
      jwks: told.jwks,
      redirect_uris: [told.redirect_uri],
      grant_types: ['authorization_code'],
      response_types: ['code'],
      id_token_signed_response_alg: 'ES256',
      authorization_details_types: ['payment_initiation'],
      require_pushed_authorization_requests: true,
    },
  ],
  pkce: { required: () => true },
  scopes: ['openid'],
  claims: { openid: ['sub'] },
  clientAuthSigningAlgValues: ['ES256'],
  enabledJWA: {
    idTokenSigningAlgValues: ['ES256'],
    clientAuthSigningAlgValues: ['ES256'],
    dPoPSigningAlgValues: ['ES256'],
  },
  findAccount: async (_ctx, id) => (id in told.accounts ? { accountId: id, claims: async () => ({ sub: id }) } : undefined),
  extraTokenClaims: async (_ctx, token) => ({ consent_id: token.grantId }),
  features: {
    devInteractions: { enabled: true },
    dPoP: { enabled: true },
    pushedAuthorizationRequests: { enabled: true },
    richAuthorizationRequests: {
      enabled: true,
      types: { payment_initiation: { validate: async () => {} } },
      // The person would choose on the bank's page; here everybody has one account (RFC 9396 s7.1).
      authorizationDetailsForGrantSource: async (ctx, source) =>
        JSON.parse(ctx.oidc.params.authorization_details).map((one) => ({
          ...one,
          debtorAccount: { iban: told.accounts[source.accountId] },
        })),
      authorizationDetailsForAccessToken: async (_ctx, _token, source) => source.rar,
      authorizationDetailsForIntrospection: async (_ctx, token) => token.rar,
    },
    resourceIndicators: {
      enabled: true,
      defaultResource: async () => told.resource,
      useGrantedResource: async () => true,
      getResourceServerInfo: async (_ctx, resource) => ({
        scope: 'payments',
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 300,
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
});

provider.listen(Number(issuer.port), issuer.hostname, () => console.log('ready'));
