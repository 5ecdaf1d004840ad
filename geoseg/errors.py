"""Every error that geoseg raises on purpose.

    GeosegError                 the base: the command line prints it as one line and exits 1
    ├── SceneError              an input raster cannot be opened, read or used
    ├── GridError               sizes, overlaps or strides that do not fit together
    ├── FilterError             a filter's parameters, or data that it cannot filter
    ├── ModelError              a network that cannot be built, or whose graph cannot be analysed
    ├── BundleError             a model bundle is missing, incomplete, altered or does not fit the scene
    ├── RecipeError             a training recipe, or data that do not fit it
    ├── EngineError             an inference engine is absent or failed
    ├── BatchError              a batch's sources, run folder or workers do not fit or cannot be reached
    └── OutputError             an output exists already, cannot be written, or its options are wrong

A message says what was wrong, what was got and what to do about it, in one line. What a library says in
pages, `in_a_line` makes fit for one.
"""

LONGEST = 400  # characters of a library's words


class GeosegError(Exception):
    """Base of all errors that a user can cause and mend."""


class SceneError(GeosegError, ValueError):
    """An input raster cannot be opened, read or used."""


class GridError(GeosegError, ValueError):
    """Sizes, overlaps or strides that do not fit together."""


class FilterError(GeosegError, ValueError):
    """A filter's parameters, or data that it cannot filter."""


class ModelError(GeosegError, ValueError):
    """A network that cannot be built, or whose graph cannot be analysed."""


class BundleError(GeosegError, ValueError):
    """A model bundle is missing, incomplete, altered or does not fit the scene."""


class RecipeError(GeosegError, ValueError):
    """A training recipe that cannot be used, or data that do not fit it."""


class EngineError(GeosegError, RuntimeError):
    """An inference engine is absent or failed."""


class BatchError(GeosegError, RuntimeError):
    """A batch's sources, run folder or workers do not fit, or cannot be reached."""


class OutputError(GeosegError, OSError):
    """An output exists already, cannot be written, or its options are wrong."""


def in_a_line(error: BaseException) -> str:
    """What an error says, in a line that can be read: runtimes say pages, GDAL quotes statements of SQL."""
    words = " ".join(str(error).split()) or type(error).__name__
    if len(words) <= LONGEST:
        return words
    return f"{words[: LONGEST // 2]} … {words[-LONGEST // 2 :]}"
