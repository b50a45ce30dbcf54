"""Who did what, for whom, by what right: the journal, its collector, and the trail drawn from it."""
