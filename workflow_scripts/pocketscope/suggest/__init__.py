"""What to label next, what an image may be, and whether more labels would help: from frozen features and a linear head.

It answers within a second while a person labels, so it needs no torch: features were computed before by the workflow.
"""
