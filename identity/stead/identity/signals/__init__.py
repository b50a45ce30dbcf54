"""Word that a token is good no longer, before it has run out: how an issuer says so, and how services hear it."""
