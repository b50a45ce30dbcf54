"""Providers of other makers, as servers on loopback that speak their documented wire format, errors included."""
