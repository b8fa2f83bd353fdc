"""What leaves the folder: a shipped model for a phone, another program or another runtime.

Each kind of export reads the folder `ship/{dataset}/` and nothing of a study. `kinds` names them; a module a kind.
"""
