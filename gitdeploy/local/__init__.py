"""Commands about machines: they run in the command line's own process, on the server's machine alone. `table` lists them."""
