TEXT = "hello from a vendored library"
