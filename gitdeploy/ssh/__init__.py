"""The ssh endpoint: who somebody is (`keys`), what he may send before and after that (`endpoint`), what he wants (`session`).

`command` parses what he typed, `git` runs git's side of a push or a fetch, `commands/` has one file per command.
"""
