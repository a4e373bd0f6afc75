"""Gateways translate between the stream and a bus; the pure `*_mapping.py` decide how."""
