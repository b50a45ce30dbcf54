"""The broker's A2A edge and REST pages."""
