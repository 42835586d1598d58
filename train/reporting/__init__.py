"""What a person sees of a run: pages, charts, the terminal, other trackers."""
