"""What happens to the stream: the fold, history, gateways."""
