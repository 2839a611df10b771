"""Families that learn pictures: attributes by a tabular family, pictures given them by a network of their own."""
