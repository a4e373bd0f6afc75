"""The typed records of the building, their Avro schemas and their bytes."""
