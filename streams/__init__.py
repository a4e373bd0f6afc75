"""Kafka and Faust: topics, tables, the batch lane, the roles' entry points."""
