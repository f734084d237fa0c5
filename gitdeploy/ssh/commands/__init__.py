"""The commands, one file each; the same over ssh and as ``gitdeploy --home DIR NAME``. `table` lists them."""
