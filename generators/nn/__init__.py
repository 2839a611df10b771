"""Networks that more than one family uses."""
