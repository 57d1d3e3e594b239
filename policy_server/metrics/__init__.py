"""What the server counts and measures of itself: by each worker alone, summed where it is asked."""
