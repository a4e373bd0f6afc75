"""What history tells when it is folded again: replay, what-if, a room as of a past time, statistics."""
