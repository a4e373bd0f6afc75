"""An ETS project as a proposal: rooms, devices, group addresses."""
