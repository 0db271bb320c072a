"""What constraints mean: which characters are allowed, and which lines fit. No torch.

May import `model.system`, and `corpus`. Knows no network; `model.sampling` masks and drafts.
"""
