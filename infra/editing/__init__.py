"""Editing the building from the command line: typed fields, files, checks of the whole, one transaction."""
