"""What a user takes away: int8 model files, answers for unlabelled images, which of these are reliable, the model card.

Whatever is made for use outside of a study belongs here.
"""
