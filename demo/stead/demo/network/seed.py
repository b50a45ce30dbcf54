"""What FinPort's two identity providers know at the start: persons, workloads, who may do what, who may call whom."""
