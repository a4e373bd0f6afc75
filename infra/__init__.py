"""Embedded Kafka, PostgreSQL and schema registry, their supervisor, migrations, and the simulated building."""
