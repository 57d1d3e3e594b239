"""What is loaded now: the live policy and its swap, and the publication of new versions."""
