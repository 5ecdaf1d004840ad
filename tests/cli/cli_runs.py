"""Run the command line in this process, and look at what it said."""

from click.testing import CliRunner

from geoseg.cli import main


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def assert_refused(result, *wanted, code=1):
    """One line on stderr, nothing on stdout, no traceback."""
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.stdout == ""
    if code == 1:
        assert len(result.stderr.splitlines()) == 1, result.stderr
        assert result.stderr.startswith("geoseg: error: ")
    assert "Traceback" not in result.stderr
    for text in wanted:
        assert text in result.stderr, result.stderr


def names(folder):
    return sorted(path.name for path in folder.iterdir())
