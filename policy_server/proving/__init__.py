"""From uploaded files to a version that is proven to serve."""
