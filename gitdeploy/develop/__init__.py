"""Commands for whoever writes an application: they run on any machine, and need no server. `table` lists them."""
