"""`atrium feed`: a recording into a room's log, each row once."""
