"""History behind one Protocol: SQLite (embedded) and Cassandra, held by one contract suite."""
