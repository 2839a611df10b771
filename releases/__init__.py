"""What is published and how it is verified; a recipient needs this room alone."""
