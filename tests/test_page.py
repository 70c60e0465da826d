"""The report's page in a real browser: nothing sticks out at phone width, dark is dark, sorting and filtering work."""

import json
import re
import shutil
import subprocess

import pytest
from support.campaigns import two_searchers, write_campaign

from harness.report.page import write_report

PROBE = """<script>
const runs = document.getElementById("filter").closest("details").querySelector("table");
const seeds = () => [...runs.tBodies[0].rows].filter(r => !r.hidden).map(r => r.cells[1].textContent);
const found = {
  width: innerWidth, page: document.documentElement.scrollWidth,
  back: getComputedStyle(document.body).backgroundColor, ink: getComputedStyle(document.body).color,
  images: [...document.images].every(i => i.complete && i.naturalWidth > 0), before: seeds(),
};
runs.tHead.rows[0].cells[1].click();
found.ascending = seeds();
runs.tHead.rows[0].cells[1].click();
found.descending = seeds();
const filter = document.getElementById("filter");
filter.value = "RANDOM done";
filter.dispatchEvent(new Event("input"));
found.filtered = [...runs.tBodies[0].rows].filter(r => !r.hidden).map(r => r.cells[0].textContent);
document.title = JSON.stringify(found);
</script>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine")
    records, campaign = two_searchers()
    folder = write_campaign(tmp_path_factory.mktemp("page") / "c", records, campaign)
    write_report([folder])
    html = folder / "report" / "probed.html"
    text = (folder / "report" / "report.html").read_text(encoding="utf-8")
    html.write_text(text.replace("</body>", PROBE + "</body>"), encoding="utf-8")

    def look(width: int, dark: bool) -> dict:
        # a browser window is 500 pixels wide at least, a frame may be narrower
        frame = html.with_name(f"frame-{width}.html")
        frame.write_text(f'<iframe id="f" src="{html.name}" style="width:{width}px;height:900px;border:0"></iframe>'
                         '<script>f.onload = () => document.title = f.contentDocument.title</script>')  # fmt: skip
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
        command += [
            f"--user-data-dir={folder / 'profile'}",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        ]
        command += ["--window-size=1500,1000", "--virtual-time-budget=5000", "--dump-dom", frame.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
        assert title, done.stderr
        return json.loads(title.group(1).replace("&amp;", "&"))

    return look


@pytest.mark.parametrize(("width", "dark"), [(1300, False), (390, True)])
def test_page_in_a_browser(page, width, dark):
    found = page(width, dark)
    assert found["width"] == width
    assert found["page"] <= width  # tables scroll within themselves
    assert found["images"]
    back, ink = (sum(map(int, re.findall(r"\d+", found[k])[:3])) for k in ("back", "ink"))
    assert (back < 150 < 600 < ink) if dark else (ink < 150 < 600 < back)
    assert found["before"] == ["0", "1", "2", "3", "4"] * 2
    assert found["ascending"] == sorted(found["before"])
    assert found["descending"] == sorted(found["before"], reverse=True)
    assert found["filtered"] == ["random"] * 5
