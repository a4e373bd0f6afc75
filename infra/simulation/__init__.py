"""A winter in many rooms, decided by the naive rules of 2020 and by ours, without Kafka."""
