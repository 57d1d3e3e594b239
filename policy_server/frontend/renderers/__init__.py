"""How decisions of each kind of action are shown: one renderer each, known by what answers hold."""
