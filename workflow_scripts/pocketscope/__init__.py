"""pocketscope: compact classifiers from biomedical images of which only a few are labelled."""

__version__ = "0.1.0"
