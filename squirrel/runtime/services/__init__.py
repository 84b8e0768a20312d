"""One file per service: which parts it is made of. Nothing is decided here; the rooms below decide."""
