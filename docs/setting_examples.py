"""One example for each section of the settings: a whole `stead.yaml`, which a test loads."""

from collections.abc import Mapping

EXAMPLES: Mapping[str, str] = {
    "": """
planner: rules
dpop: always
timeouts:
  connect: 5
""",
    "issuers": """
issuer: https://idp.example/realms/acme
issuers:
- issuer: https://idp.example/realms/acme
  preset: keycloak
  audiences: {"https://portfolio.example": portfolio}
  subjects: persons
""",
    "issuers.clients": """
issuer: https://idp.example
issuers:
- issuer: https://idp.example
  preset: okta
  clients:
    portfolio-agent:
      client_id: 0oa1b2c3
      client_secret_file: /run/secrets/portfolio-agent
      client_auth: client_secret_post
""",
    "issuers.levels": """
issuer: https://idp.example/realms/acme
issuers:
- issuer: https://idp.example/realms/acme
  preset: keycloak
  levels:
    "1": {acr: "urn:acme:password", lasts: 28800}
    "2": {acr: "urn:acme:second-factor"}
""",
    "issuers.shared_signals": """
issuers:
- issuer: https://idp.example
  backchannel_logout: true
  shared_signals:
    transmitter: https://signals.example
    audience: https://finport.example
    authorization_file: /run/secrets/signals
""",
    "lifetimes": """
lifetimes:
  access: 300
  audiences: {http://127.0.0.9:8400: 60}
  refresh_idle: 1800
""",
    "login": """
login:
  issuer: https://idp.example
  client_id: stead-web
  client_secret_file: /run/secrets/stead-web
""",
    "tls": """
tls:
  certificate: /etc/stead/tls/{name}.pem
  key: /etc/stead/tls/{name}-key.pem
  authorities: /etc/stead/tls/authorities.pem
  binds: true
""",
    "workload_token": """
workload_token:
  file: /var/run/secrets/tokens/stead
  audience: https://idp.example
""",
    "tls.proxies": """
listen: https://127.0.0.1:9443
tls:
  certificate: /etc/stead/tls/{name}.pem
  key: /etc/stead/tls/{name}-key.pem
  authorities: /etc/stead/tls/authorities.pem
  proxies:
  - san_dns: proxy.finport.example
""",
    "client_certificates": """
client_certificates:
  broker: {san_uri: "spiffe://finport.example/broker"}
  transfer-agent: {file: /etc/stead/partners/transfer.pem}
""",
    "workloads": """
workloads:
  portfolio-agent:
    subject: system:serviceaccount:finport:portfolio
    issuer: https://kubernetes.default.svc
    jwks_file: /etc/stead/cluster-jwks.json
""",
    "decision_point": """
decision_point:
  url: https://decisions.example
  asked_for: effects
  scopes: [decisions:ask]
""",
    "timeouts": """
timeouts:
  connect: 2
  read: 120
""",
    "vault": """
vault:
  keys: aws
  former: [home]
  aws_key: arn:aws:kms:eu-central-1:111122223333:alias/stead
""",
    "telemetry": """
telemetry:
  traces: true
  persons: none
""",
    "audit": """
audit:
  segment_bytes: 16777216
""",
}
