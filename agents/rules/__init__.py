"""The pure core: a room is a fold over its log."""
