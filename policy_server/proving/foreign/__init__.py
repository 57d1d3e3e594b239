"""Files that are no models to serve: what each is, and the export that would serve its policy."""
