"""Z-Wave's JavaScript side: the Z-Wave JS server and the simulated nodes, what they run on, and how they are started."""
