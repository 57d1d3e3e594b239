"""From observation to action: preprocessor, engines, distributions, output mapper."""
