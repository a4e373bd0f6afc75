"""One interface to a bus, several ways to reach it."""
