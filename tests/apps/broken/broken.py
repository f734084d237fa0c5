"""Cannot be loaded: it needs a library that nobody put into the tree."""

import a_library_that_is_not_there  # noqa: F401
