"""How databases of earlier versions become this version's: one script a version, forward only."""
