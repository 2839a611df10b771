"""The one training loop, and what it needs: device, checkpoint, weight averages."""
