"""What another identity provider must be told, so that a network can live on it: written from who may call whom."""
