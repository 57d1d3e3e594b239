"""The log: one line an event, in one format, of all that runs in a process."""
