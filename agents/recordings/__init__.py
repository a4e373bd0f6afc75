"""PURE: recorded buildings. What a file's columns mean, what its rows say, and what has to go into a room's log for them."""
