"""The commands of `atrium` by group, each in a module of its own, imported only when it is used."""
