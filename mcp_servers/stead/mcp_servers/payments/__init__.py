"""The bank's payments: one tool that moves money, once, exactly as the person approved it at the bank."""
