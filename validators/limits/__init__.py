"""What a release must reach in each measurement, and why: one module a family of measurements."""
