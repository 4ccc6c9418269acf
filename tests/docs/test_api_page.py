"""docs/api.md says what the code says: names, signatures, one line each."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import thekeys_async

SCRIPT = Path(__file__).with_name("api_page.py")


@pytest.fixture(scope="module")
def rewritten(tmp_path_factory):
    """Both pages, as the script writes them today; elsewhere, so that the repository stays as it is."""
    program = (
        f"import sys; sys.path.insert(0, {str(SCRIPT.parent)!r}); import api_page, json; "
        "print(json.dumps({page.name: api_page.written(page.read_text(encoding='utf-8')) for page in api_page.PAGES}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", ["api.md", "cloud.md"])
def test_the_page_is_up_to_date(root, rewritten, name):
    page = (root / "docs" / name).read_text(encoding="utf-8")
    assert page == rewritten[name], "run: python tests/docs/api_page.py"


def test_every_public_name_stands_there_with_a_line(root):
    pages = "".join((root / "docs" / name).read_text(encoding="utf-8") for name in ("api.md", "cloud.md"))
    told = dict(re.findall(r"^- \*\*`(\w+).*?`\*\*(.*)$", pages, re.MULTILINE))
    for name in thekeys_async.__all__:
        assert name in told
        if isinstance(getattr(thekeys_async, name), type):
            assert re.match(r": .{10,}", told[name]), name


def test_signatures_can_be_read(root):
    page = (root / "docs" / "api.md").read_text(encoding="utf-8")
    assert "`await open(*, timeout: float | Default | None = DEFAULT" in page
    assert "-> CommandResult`: Draw the bolt back." in page
