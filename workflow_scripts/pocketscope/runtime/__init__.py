"""What a job needs before and while it computes: log, lock, GPU, threads, a state to resume from, a digest of its code.

How a job runs belongs here, whatever it computes. No method, table or network does.
"""
