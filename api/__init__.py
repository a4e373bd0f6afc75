"""The HTTP API, the live page and the replica they answer from."""
