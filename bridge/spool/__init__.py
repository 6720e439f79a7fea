"""What carriers sent, kept on disk until its call is told: a crash loses no word that had reached us."""
