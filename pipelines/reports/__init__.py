"""What finance takes away: usage priced by the catalogue's history, and reports on that history."""
