"""What pretraining is worth: data set x recipe x protocol, beside raw features and random init."""
