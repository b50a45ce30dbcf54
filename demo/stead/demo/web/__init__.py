"""FinPort's web: signs people in, asks the broker for them, and draws by whose authority each hop was made.

A backend-for-frontend: the browser holds a random cookie and never a token.
"""

from stead.demo.web.app import web_app

__all__ = ["web_app"]
