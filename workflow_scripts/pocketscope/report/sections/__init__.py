"""The sections of the page: a module each, which takes the study and returns blocks, or says why there are none."""
