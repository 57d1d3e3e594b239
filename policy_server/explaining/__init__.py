"""What a decision follows from: contributions of fields, near changes, curves, saliency."""
