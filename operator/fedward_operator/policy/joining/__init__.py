"""How a hospital comes to belong to the federation, and how it ceases to."""
