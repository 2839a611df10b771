"""What a dataset is and how it is read: Dataset, Schema, readers, contract, split."""
