// A third-party identity provider on TLS, for tests: npm's oidc-provider, which knows clients by their certificates and
// binds tokens to them (RFC 8705). Certificates are asked for at the aliases only, which are a second listener.
// Usage: node certified.mjs '{"issuer", "alias", "certificate", "key", "authorities", "keys", "clients", "resource", "scope"}'; prints "ready".
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { Provider } from 'oidc-provider';

const told = JSON.parse(process.argv[2]);
const names = (certificate) => (certificate.subjectAltName ?? '').split(', ');

const provider = new Provider(told.issuer, {
  jwks: told.keys,
  clients: told.clients.map((client) => ({
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    id_token_signed_response_alg: 'ES256',
    tls_client_certificate_bound_access_tokens: true,
    ...client,
  })),
  enabledJWA: { clientAuthSigningAlgValues: ['ES256'], idTokenSigningAlgValues: ['ES256'] },
  clientAuthMethods: ['private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth'],
  pkce: { required: () => true },
  discovery: { mtls_endpoint_aliases: { token_endpoint: `${told.alias}/token` } },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      selfSignedTlsClientAuth: true,
      tlsClientAuth: true,
      getCertificate: (ctx) => ctx.socket.getPeerX509Certificate(),
      certificateAuthorized: (ctx) => ctx.socket.authorized,
      certificateSubjectMatches: (ctx, property, expected) =>
        property === 'tls_client_auth_san_uri' && names(ctx.socket.getPeerX509Certificate()).includes(`URI:${expected}`),
    },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: async () => true,
      getResourceServerInfo: async (_ctx, resource) => ({
        scope: told.scope,
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 300,
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
});

const files = { cert: readFileSync(told.certificate), key: readFileSync(told.key), ca: readFileSync(told.authorities) };
const listening = (url, options) =>
  new Promise((resolve) => {
    const { port, hostname } = new URL(url);
    createServer({ ...files, ...options }, provider.callback()).listen(Number(port), hostname, resolve);
  });

await listening(told.issuer, {});
// One that vouches for itself gets as far as the provider, which knows it by its thumbprint.
await listening(told.alias, { requestCert: true, rejectUnauthorized: false });
console.log('ready');
