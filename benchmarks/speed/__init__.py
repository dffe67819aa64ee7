"""Speed and memory of training steps, as ratios against peers measured in the same run."""
