"""A simulated floor: physics as pure functions, a server that plays it to the gateways."""
