"""Audio: recordings of any length as patches of their log-mel spectrogram, and back to sound."""
