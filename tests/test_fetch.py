"""`harness data fetch` against a server on this machine.

CIFAR-100 is a small archive in the official layout, with its own sums in place of the published ones.
"""

import errno
import gzip
import hashlib
import io
import os
import pickle
import signal
import subprocess
import sys
import tarfile
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from benchmarks import fetch, images
from benchmarks.datasets import MD5
from benchmarks.errors import UserError
from harness import progress

FOLDER = "cifar-100-python"
NAME = f"{FOLDER}.tar.gz"


def md5(content):
    return hashlib.md5(content).hexdigest()


def batch(labels, seed):
    """In the official layout; random pixels, so that it does not shrink when it is packed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (len(labels), 3072), dtype=np.uint8)
    return pickle.dumps({"data": pixels, "fine_labels": labels}, protocol=2)


FILES = {"train": batch(list(range(40)), 0), "test": batch([7, 98], 1), "meta": b"the names of the classes"}


def packed(files=FILES, extra=(), folder=FOLDER):
    """A .tar.gz of these files, and of more members with their content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for member, content in extra:
            tar.addfile(member, io.BytesIO(content))
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(out.getvalue(), mtime=0)


def regular(name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    return member, content


OFFICIAL = packed()


class Server(ThreadingHTTPServer):
    """Answers every path with `content`, as `manner` says; counts what is asked for."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.manner, self.paths = OFFICIAL, "whole", []
        self.begun, self.go = threading.Event(), threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/{NAME}"

    def handle_error(self, request, client_address):
        """A client that hangs up is part of the tests; the default prints it among the command's own lines."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, content = self.server, self.server.content
        server.paths.append(self.path)
        half = len(content) // 2
        if server.manner == "missing":
            self.send_error(404)
            return
        self.send_response(200)
        if server.manner != "unannounced":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if server.manner == "slow":
            for start in range(0, len(content), len(content) // 8 + 1):
                self.wfile.write(content[start : start + len(content) // 8 + 1])
                time.sleep(0.04)
            return
        self.wfile.write(content[:half])
        self.wfile.flush()
        server.begun.set()
        if server.manner == "halting":  # until the test goes on
            server.go.wait(10)
        if server.manner != "cut off":
            self.wfile.write(content[half:])

    def log_message(self, *arguments): ...


@pytest.fixture
def server():
    server = Server()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.go.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def archive(server, monkeypatch):
    """CIFAR-100 as that server has it, with the sums of the small files."""
    sums = {name: md5(content) for name, content in FILES.items()}
    batches = {name: sums[name] for name in ("train", "test")}
    archive = replace(
        fetch.ARCHIVES["cifar100"],
        url=server.url,
        md5=md5(OFFICIAL),
        batches=batches,
        meta={"meta": sums["meta"]},
        size=len(OFFICIAL),
        unpacked=sum(map(len, FILES.values())),
    )
    monkeypatch.setitem(fetch.ARCHIVES, "cifar100", archive)
    monkeypatch.setitem(MD5, "cifar100", batches)
    return archive


@pytest.fixture
def place(tmp_path):
    return tmp_path / "data"


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def silent(what, done, total): ...


# ---------------------------------------------------------------------------------------------- it arrives


def test_the_official_sums_are_those_that_are_published():
    assert {name: (archive.url.rpartition("/")[2], archive.md5) for name, archive in fetch.ARCHIVES.items()} == {
        "cifar10": ("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"),
        "cifar100": ("cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85"),
    }
    for name, archive in fetch.ARCHIVES.items():
        assert archive.batches is MD5[name]


def test_the_images_are_put_where_they_are_read(harness, archive, server, place):
    code, out, err = harness("data", "fetch", "cifar100", "--data", place)
    assert (code, out) == (0, f"{place / FOLDER}: cifar100, 2 batches with the published md5 sums\n")
    assert err.splitlines()[0] == f"downloading {server.url}"
    assert [path.name for path in place.iterdir()] == [FOLDER]
    assert content(place / FOLDER) == FILES
    assert (place / FOLDER / "train").stat().st_mode & 0o777 == 0o666 & ~umask()
    train = images._read("cifar100", place, ["train"])
    assert train.labels.tolist() == list(range(40))


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_images_that_are_there_are_left_alone(harness, archive, server, place):
    harness("data", "fetch", "cifar100", "--data", place)
    for root in (place, place / FOLDER):
        before = (place / FOLDER / "train").stat().st_mtime_ns
        code, out, _ = harness("data", "fetch", "cifar100", "--data", root)
        assert (code, out) == (
            0,
            f"{place / FOLDER}: cifar100 is there, with the published md5 sums; nothing to do\n",
        )
        assert (place / FOLDER / "train").stat().st_mtime_ns == before
    (place / FOLDER).rename(place.parent / "mine")
    assert "nothing to do" in harness("data", "fetch", "cifar100", "--data", place.parent / "mine")[1]
    assert len(server.paths) == 1


@pytest.mark.parametrize("variable", [True, False])
def test_the_folder_is_that_of_all_commands(harness, archive, place, monkeypatch, variable):
    monkeypatch.setenv("HOME", str(place / "home"))
    if variable:
        monkeypatch.setenv("HARNESS_DATA", str(place))
    else:
        monkeypatch.delenv("HARNESS_DATA", raising=False)
    assert harness("data", "fetch", "cifar100")[0] == 0
    assert content((place if variable else place / "home/.cache/harness") / FOLDER) == FILES


@pytest.mark.parametrize("kind", ["file", "file://", "folder", "mirror", "unannounced", "plain tar"])
def test_it_comes_from_elsewhere_too(harness, archive, server, place, tmp_path, kind):
    file = tmp_path / NAME
    file.write_bytes(gzip.decompress(OFFICIAL) if kind == "plain tar" else OFFICIAL)
    server.manner = kind
    url = {"folder": tmp_path, "file://": file.as_uri(), "mirror": server.url.removesuffix(NAME)}.get(kind, file)
    if kind == "unannounced":
        url = server.url
    assert harness("data", "fetch", "cifar100", "--data", place, "--url", url)[0] == 0
    assert content(place / FOLDER) == FILES
    assert file.exists()
    assert server.paths == ([f"/{NAME}"] if kind in ("mirror", "unannounced") else [])


def test_an_archive_that_was_packed_again_is_taken_for_its_batches(harness, archive, server, place):
    server.content = packed({**FILES, "meta": b"others"}, [regular("readme", b"more"), regular("../up", b"out")])
    code, out, _ = harness("data", "fetch", "cifar100", "--data", place)
    assert code == 0
    assert out.endswith(f"published md5 sums, from another archive (md5 {md5(server.content)})\n")
    assert content(place / FOLDER) == {name: FILES[name] for name in ("train", "test")}
    assert sorted(path.name for path in place.parent.iterdir()) == ["data"]


def test_there_is_a_word_every_few_seconds(harness, archive, server, place, monkeypatch):
    monkeypatch.setattr(progress, "WAITING_SECONDS", 0.03)
    monkeypatch.setattr(fetch, "CHUNK", 2**12)
    server.manner = "slow"
    code, _, err = harness("data", "fetch", "cifar100", "--data", place)
    assert code == 0
    assert sum(line.startswith(f"downloading {server.url}: 0 of 0 MB, ") for line in err.splitlines()) > 3


def test_a_terminal_has_a_bar(archive, server, place, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress.Transfer() as transfer:
        fetch.fetch(archive, place, None, transfer.report)
        (bar,) = transfer.bars.tasks
        assert (transfer.what, bar.total) == ("unpacking", len(OFFICIAL))


# ---------------------------------------------------------------------------------------------- it does not arrive


def refused(harness, place, *options):
    """The error of a command that leaves nothing."""
    code, out, err = harness("data", "fetch", "cifar100", "--data", place, *options)
    assert (code, out) == (2, "")
    assert not place.exists() or list(place.iterdir()) == []
    text = err[err.index("error: ") :].removesuffix("\n")
    assert text.count("\n") <= 1
    return text


def test_without_a_network_it_says_what_to_put_where(harness, archive, server, place, monkeypatch):
    server.shutdown()
    server.server_close()
    assert refused(harness, place) == (
        f"error: cifar100: cannot download {server.url} (Connection refused); download it elsewhere and give it with "
        f"--url FILE, or unpack it in {place}"
    )
    mirror = server.url.replace("//", "//me:secret@").replace(FOLDER, "copy") + "?token=secret"
    text = refused(harness, place, "--url", mirror)
    assert f"download {server.url} elsewhere" in text
    assert "secret" not in text


def test_a_server_that_stops_answering_is_given_up(harness, archive, server, place, monkeypatch):
    monkeypatch.setattr(fetch, "TIMEOUT_SECONDS", 0.2)
    server.manner = "halting"
    assert "(nothing came for 0.2 s)" in refused(harness, place)


@pytest.mark.parametrize(
    ("manner", "content", "text"),
    [
        ("missing", OFFICIAL, "the server says 404 Not Found"),
        ("cut off", OFFICIAL, "cut off after "),
        ("whole", OFFICIAL[:-3000], "is not cifar100 as published: it ends too early"),
        ("whole", b"<html>Sign in to this network</html>", "no tar archive, or a damaged one"),
        ("whole", OFFICIAL[:1000] + bytes(100) + OFFICIAL[1100:], "as published: "),
        ("whole", b"", "as published: "),
        ("whole", packed({"train": FILES["train"]}), "as published: test is missing\n"),
        ("whole", packed({**FILES, "test": b"other"}), "as published: test is another\n"),
        ("whole", packed(folder="cifar-10-batches-py"), "train is missing, test is missing\n"),
        ("whole", packed(folder=f"../{FOLDER}"), "train is missing, test is missing\n"),
        ("whole", packed(folder=f"/{FOLDER}"), "train is missing, test is missing\n"),
        ("whole", OFFICIAL * 5, "(more than "),
        ("unannounced", OFFICIAL * 5, "(more than "),
        ("whole", packed(extra=[regular("zeros", bytes(2**24))]), "when unpacked\n"),
    ],
    ids=map(str, range(1, 15)),
)
def test_what_is_not_the_archive_is_refused(harness, archive, server, place, manner, content, text):
    server.manner, server.content = manner, content
    message = refused(harness, place)
    assert text in message
    assert server.url in message
    if "as published" in message:
        assert message.endswith(f"its md5 is {md5(content)}, that of {server.url} is {archive.md5}")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, b"S"])
def test_only_plain_files_are_taken(harness, archive, server, place, tmp_path, kind):
    secret = tmp_path / "secret"
    secret.write_bytes(FILES["train"])
    member = tarfile.TarInfo(f"{FOLDER}/train")
    member.type, member.linkname = kind, str(secret)
    server.content = packed(extra=[(member, b"")])
    message = refused(harness, place)
    assert f"{FOLDER}/train is no regular file" in message or "no tar archive" in message


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_headers_of_any_size_are_read_within_bounds(harness, archive, server, place, kind):
    member = tarfile.TarInfo("header")
    member.type, member.size = kind, 2**40
    server.content = gzip.compress(member.tobuf(tarfile.GNU_FORMAT) + bytes(2**24))
    assert "when unpacked" in refused(harness, place)


def test_mutated_archives_give_one_error(archive, place, tmp_path):
    rng, plain = np.random.default_rng(3), gzip.decompress(OFFICIAL)
    file = tmp_path / NAME
    heads = np.array([start for start in range(0, len(plain), 512) if b"ustar" in plain[start : start + 512]])
    for _ in range(60):
        mutated = bytearray(plain)
        for position in rng.choice(heads, 2) + rng.integers(0, 512, 2):
            mutated[position] = rng.integers(256)
        file.write_bytes(mutated)
        text = ""
        try:
            fetch.fetch(archive, place, str(file), silent)
        except UserError as error:
            text = str(error)
        assert "as published" in text or {"train", "test"} <= set(content(place / FOLDER))


def test_wrong_names_and_addresses_are_refused_at_once(harness, archive, place, tmp_path):
    code, _, err = harness("data", "fetch", "cifar1000", "--data", place)
    assert (code, err) == (
        2,
        "error: no archive of 'cifar1000'; did you mean 'cifar100'? (one of: cifar10, cifar100)\n",
    )
    assert "expected http://, https:// or a file" in refused(harness, place, "--url", f"ftp://there/{NAME}")
    assert f"no file {tmp_path / NAME}" in refused(harness, place, "--url", tmp_path)
    assert "http://[::1/" in refused(harness, place, "--url", f"http://[::1/{NAME}")


# -------------------------------------------------------------------------------------------------- the disk


def test_no_room_is_said_before_the_download(harness, archive, server, place, monkeypatch):
    large = replace(archive, size=170 * 10**6, unpacked=187 * 10**6)
    monkeypatch.setitem(fetch.ARCHIVES, "cifar100", large)
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda folder: fetch.shutil._ntuple_diskusage(0, 0, 12 * 10**6))
    assert refused(harness, place) == (
        f"error: cifar100 needs 357 MB in {place} (187 MB when it is unpacked), and 12 MB are free; make room, or name "
        "another folder with --data"
    )
    assert server.paths == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("moment", ["download", "unpack"])
def test_a_disk_that_becomes_full(harness, archive, place, monkeypatch, number, moment):
    def full(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(*((fetch._Incoming, "write") if moment == "download" else (fetch, "_write")), full)
    text = refused(harness, place)
    assert text.startswith("error: cifar100 needs ")
    assert f"in {place} (" in text
    assert "the disk is full" in text


def test_a_folder_that_cannot_be_made(harness, archive, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = harness("data", "fetch", "cifar100", "--data", tmp_path / "file/data")
    assert (code, err) == (2, f"error: {tmp_path}/file/data: Not a directory; --data names another folder\n")


def damaged(place):
    """A folder with one batch damaged, one missing, and something of the user's."""
    (place / FOLDER).mkdir(parents=True)
    files = {"train": FILES["train"][:-1] + b"?", "mine": b"notes"}
    for name, text in files.items():
        (place / FOLDER / name).write_bytes(text)
    return files


def test_a_damaged_folder_is_replaced_and_kept_aside(harness, archive, server, place):
    for name in (f"{FOLDER}.aside", f"{FOLDER}.aside-2"):
        before = damaged(place)
        code, out, err = harness("data", "fetch", "cifar100", "--data", place)
        assert code == 0
        assert f"{place / FOLDER}: train is damaged, test is missing; the folder is replaced\n" in err
        assert out.splitlines()[1] == f"what was there is now {place / name}"
        assert content(place / name) == before
        assert content(place / FOLDER) == FILES
        fetch.shutil.rmtree(place / FOLDER)


def test_a_damaged_folder_stays_where_the_archive_cannot_be_had(harness, archive, server, place):
    before, server.manner = damaged(place), "cut off"
    assert harness("data", "fetch", "cifar100", "--data", place)[0] == 2
    assert [path.name for path in place.iterdir()] == [FOLDER]
    assert content(place / FOLDER) == before


@pytest.mark.parametrize("kind", ["file", "link", "empty folder"])
def test_what_has_the_name_is_not_lost(archive, place, kind):
    (place / "else").mkdir(parents=True)
    target = place / FOLDER
    if kind == "file":
        target.write_text("mine")
    elif kind == "link":
        target.symlink_to("else")
    else:
        target.mkdir()
    fetch.fetch(archive, place, None, silent)
    assert content(target) == FILES
    assert not target.is_symlink()
    assert list((place / "else").iterdir()) == []
    assert os.path.lexists(place / f"{FOLDER}.aside") == (kind != "empty folder")


def test_what_a_killed_process_left_goes(archive, place):
    old, new = place / f".{FOLDER}.fetch-old", place / f".{FOLDER}.fetch-new"
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "archive").write_bytes(b"part")
    for path in (old, old / "archive"):
        os.utime(path, (0, 0))
    fetch.fetch(archive, place, None, silent)
    assert sorted(path.name for path in place.iterdir()) == [new.name, FOLDER]


# ------------------------------------------------------------------------------------------------ two at once, Ctrl-C


def at_once(archive, place, reports):
    """Two fetches in threads, the second begun when the first is downloading: their texts."""
    texts = []

    def work(report):
        texts.append(fetch.fetch(archive, place, None, report))

    threads = [threading.Thread(target=work, args=(report,)) for report in reports]
    threads[0].start()
    return threads, texts


def test_of_two_at_once_one_waits_and_finds_all_there(archive, server, place):
    server.manner = "halting"
    waits = []

    def second(what, done, total):
        if "waiting" in what:
            waits.append(what)
            server.go.set()

    threads, texts = at_once(archive, place, [silent, second])
    assert server.begun.wait(5)
    threads[1].start()
    for thread in threads:
        thread.join(5)
    assert waits == [f"waiting for another fetch into {place}"]
    assert sorted(text.partition(": ")[2][:17] for text in texts) == ["cifar100 is there", "cifar100, 2 batch"]
    assert len(server.paths) == 1
    assert [path.name for path in place.iterdir()] == [FOLDER]
    assert content(place / FOLDER) == FILES


def test_without_locks_two_at_once_end_well(archive, server, place, monkeypatch):
    def no_locks(*arguments):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fetch.fcntl, "flock", no_locks)
    server.manner = "halting"
    threads, texts = at_once(archive, place, [silent, silent])
    threads[1].start()
    until = time.monotonic() + 5
    while len(server.paths) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    server.go.set()
    for thread in threads:
        thread.join(5)
    assert len(texts) == len(server.paths) == 2
    assert content(place / FOLDER) == FILES
    assert all(not path.name.startswith(".") for path in place.iterdir())


def test_ctrl_c_leaves_nothing(server, place):
    server.manner = "halting"
    command = [sys.executable, "-m", "harness", "data", "fetch", "cifar100", "--data", place, "--url", server.url]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert server.begun.wait(20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines() == [f"downloading {server.url}", "stopped; nothing was put there"]
    assert list(place.iterdir()) == []


# --------------------------------------------------------------------------------------------------- beside it


def test_messages_about_missing_images_name_the_command(tmp_path):
    for dataset in ("cifar10", "cifar100"):
        with pytest.raises(UserError, match=f"`harness data fetch {dataset}` downloads it, or put the python version"):
            images._read(dataset, tmp_path, list(MD5[dataset]))


def test_other_commands_load_no_library_for_downloads():
    code = (
        "import sys, harness.data; sys.argv = ['harness', 'list', 'presets']\n"
        "from harness.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('pooch', 'requests', 'urllib3') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
