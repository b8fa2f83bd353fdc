"""The version of the package; apart, so that a new one makes nothing of a study again."""

VERSION = "0.1.0"
