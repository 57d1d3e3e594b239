"""What an observation and a prediction may be."""
