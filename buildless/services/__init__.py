"""The services that an application may ask for, a module each with a `SERVICE` in it (docs/services.rst says how to add one)."""
