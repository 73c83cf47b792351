"""A download survives slow, broken, wrong, silent and absent mirrors, and a wrong byte never gets the final name.

The mirrors are a web server on 127.0.0.1; the waits are fractions of a second, and no test looks at how long one took
except where the promise is that an answer comes soon.
"""

import hashlib
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from easel.data import download, sets as sources
from easel.errors import UserError

CONTENT = np.random.default_rng(0).integers(0, 256, 400_000, dtype=np.uint8).tobytes()
MD5 = hashlib.md5(CONTENT).hexdigest()
QUICK = download.Patience(connect=1.0, stall=0.4, slow_rate=1_000_000, slow_for=0.3, probe=1.2, probe_read=0.2)


class Mirror(BaseHTTPRequestHandler):
    """The path says how it behaves: /good /slow /broken /wrong /short /other /norange /hang /stall /404 /endless."""

    protocol_version = "HTTP/1.0"

    def do_GET(self):
        kind = self.path.split("/")[1]
        asked = self.headers.get("Range")
        self.server.log.append((kind, asked))
        self.server.answer(self, kind, int(asked[6:-1]) if asked else 0)

    def log_message(self, *_):
        pass


def answer(mirror: Mirror, kind: str, start: int) -> None:
    end = mirror.server.end
    body = CONTENT
    if kind == "404":
        return mirror.send_error(404)
    if kind == "hang":
        end.wait(20)
        return None
    if kind == "wrong":
        body = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    if kind == "other":
        body = b"<html>please log in</html>"
    if kind in ("norange", "norangebroken"):
        start = 0
    mirror.send_response(206 if start else 200)
    if start:
        mirror.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
    if kind == "odd":
        mirror.send_header("Content-Length", "\xb2")  # "²".isdigit()
    elif kind not in ("endless", "unannounced"):
        mirror.send_header("Content-Length", str(len(body) - start))
    mirror.end_headers()
    rest = body[start:]
    try:
        if kind in ("broken", "norangebroken"):
            rest = rest[:150_000]
        if kind == "stall":
            mirror.wfile.write(rest[:100_000])
            end.wait(20)
        elif kind == "slow":
            for k in range(0, len(rest), 20_000):
                mirror.wfile.write(rest[k : k + 20_000])
                if end.wait(0.04):
                    return None
        elif kind == "endless":
            while not end.is_set():
                mirror.wfile.write(rest)
        else:
            mirror.wfile.write(rest)
    except (BrokenPipeError, ConnectionResetError):
        pass
    return None


@pytest.fixture(autouse=True)
def quick_and_without_proxy(monkeypatch):
    monkeypatch.setattr(download, "PATIENCE", QUICK)
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    server.answer, server.log, server.end = answer, [], threading.Event()
    server.url = lambda kind: f"http://127.0.0.1:{server.server_port}/{kind}/file.bin"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.end.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def get(server, tmp_path):
    """get("404", "good", ...) downloads from mirrors of these kinds, in this order, and returns the content."""

    def run(*kinds, **options):
        urls = [server.url(kind) for kind in kinds]
        download.fetch(urls, tmp_path / "file.bin", MD5, len(CONTENT), **options)
        return (tmp_path / "file.bin").read_bytes()

    return run


def asked(server):
    return [kind for kind, _ in server.log]


def only(tmp_path):
    return sorted(p.name for p in tmp_path.iterdir())


def test_the_first_mirror_that_works_is_enough(get, server, tmp_path):
    assert get("good", "404") == CONTENT
    assert asked(server) == ["good"]
    assert only(tmp_path) == ["file.bin"]


def test_what_is_there_is_not_downloaded_again(get, server, tmp_path):
    (tmp_path / "file.bin").write_bytes(CONTENT)
    assert get("good") == CONTENT
    assert server.log == []


@pytest.mark.parametrize("bad", ["404", "hang", "wrong", "other", "endless"])
def test_a_mirror_that_fails_is_left_for_the_next(get, server, tmp_path, bad):
    assert get(bad, "good") == CONTENT
    assert asked(server)[-1] == "good"
    assert only(tmp_path) == ["file.bin"]


def test_nobody_listening_and_no_such_host_are_left_for_the_next(server, tmp_path):
    urls = ["http://127.0.0.1:9/file.bin", "http://no-such-host.invalid/file.bin", server.url("good")]
    download.fetch(urls, tmp_path / "file.bin", MD5, len(CONTENT))
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_broken_download_goes_on_where_it_was(get, server):
    assert get("broken") == CONTENT
    assert server.log == [("broken", None), ("broken", "bytes=150000-"), ("broken", "bytes=300000-")]


def test_an_interrupted_download_goes_on_in_the_next_call(get, server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:123_456])
    assert get("good") == CONTENT
    assert server.log == [("good", "bytes=123456-")]


def test_a_download_that_lacked_only_its_name_asks_nobody(get, server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    assert get("good") == CONTENT
    assert server.log == []


def test_a_stalled_mirror_is_asked_to_go_on_and_then_the_next_takes_over(get, server):
    assert get("stall", "good") == CONTENT
    assert server.log[:2] == [("stall", None), ("stall", "bytes=100000-")]


def test_a_slow_mirror_is_left_and_the_next_goes_on_from_its_bytes(get, server):
    assert get("slow", "good") == CONTENT
    (_, first), (kind, then) = server.log
    assert first is None
    assert kind == "good"
    assert int(then[6:-1]) >= 20_000


def test_if_all_are_slow_the_slow_one_is_used_after_all(get, server):
    assert get("slow", "404") == CONTENT
    assert asked(server) == ["slow", "404", "slow"]


def test_a_single_mirror_may_be_slow(get, server):
    assert get("slow") == CONTENT
    assert asked(server) == ["slow"]


def test_a_mirror_without_ranges_starts_again_from_the_beginning(get, server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(b"\0" * 1000 + CONTENT[1000:200_000])
    assert get("norange") == CONTENT


def test_a_mirror_without_ranges_that_breaks_off_is_not_asked_for_ever(get, server):
    assert get("norangebroken", "good") == CONTENT
    assert asked(server).count("norangebroken") <= 2


def test_a_part_with_wrong_bytes_is_discarded_and_fetched_anew(get, server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(b"\0" * 5000)
    assert get("good") == CONTENT
    assert server.log == [("good", "bytes=5000-"), ("good", None)]


def test_a_part_that_is_too_long_is_discarded(get, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT + b"more")
    assert get("good") == CONTENT


def test_a_file_of_unannounced_length_is_judged_by_its_md5(get):
    assert get("unannounced") == CONTENT


def test_a_length_that_is_no_number_ended_the_trying_and_is_passed_over(get, server):
    assert get("404", "odd") == CONTENT
    assert asked(server) == ["404", "odd"]


def test_a_download_that_fails_leaves_no_lock(get, tmp_path):
    with pytest.raises(UserError):
        get("404")
    assert only(tmp_path) == []


def test_wrong_bytes_never_get_the_final_name(get, tmp_path):
    with pytest.raises(UserError, match=f"wrong bytes, MD5 is [0-9a-f]{{32}}, expected {MD5}"):
        get("wrong")
    assert "file.bin" not in only(tmp_path)
    assert "file.bin.part" not in only(tmp_path)


def test_the_error_names_every_mirror_why_it_failed_and_what_to_do(get, server, tmp_path):
    with pytest.raises(UserError) as caught:
        get("404", "other", "hang", "wrong")
    message = str(caught.value)
    assert "\n" not in message
    assert f"{server.url('404')}: 404 Not Found" in message
    assert f"{server.url('other')}: another file: 26 bytes, expected 400000" in message
    assert f"{server.url('hang')}: no answer" in message
    assert f"{server.url('wrong')}: wrong bytes" in message
    assert str(tmp_path / "file.bin") in message
    assert "by hand" in message
    assert "EASEL_MIRRORS" in message


def test_a_time_given_is_kept_and_what_arrived_stays(get, tmp_path):
    with pytest.raises(UserError, match="not done in the time given"):
        get("slow", seconds=0.4)
    assert 0 < (tmp_path / "file.bin.part").stat().st_size < len(CONTENT)


def test_a_name_look_up_that_hangs_does_not_hang_the_download(tmp_path, monkeypatch):
    hold = threading.Event()

    def look_up(*_arguments, **_options):
        hold.wait(20)
        raise OSError("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    start = time.monotonic()
    with pytest.raises(UserError, match=r"no answer within 1 s"):
        download.fetch(["http://mirror.invalid/f"], tmp_path / "f", MD5, len(CONTENT))
    assert download.mirror_speeds(["http://mirror.invalid/f"], len(CONTENT)) == {"http://mirror.invalid/f": 0}
    assert time.monotonic() - start < 10
    hold.set()


def test_a_folder_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"file/f\.bin: cannot be written .*EASEL_DATA"):
        download.fetch([server.url("good")], tmp_path / "file" / "f.bin", MD5, len(CONTENT))


def test_two_at_once_download_it_once(get, server):
    contents = []
    threads = [threading.Thread(target=lambda: contents.append(get("slow"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert contents == [CONTENT, CONTENT]
    assert asked(server) == ["slow"]


def test_progress_is_told_in_megabytes_speed_and_host(get, server, capsys):
    get("404", "good")
    said = capsys.readouterr().err
    assert "404 Not Found" in said
    assert re.search(r"file\.bin: 0\.\d of 0 MB, [\d.]+ MB/s", said)
    assert f"127.0.0.1:{server.server_port}" in said
    assert said.endswith("file.bin: complete, MD5 is right\n")


# asking how fast -----------------------------------------------------------------------------------------------------


def test_an_estimate_is_a_rate_and_nothing_for_those_that_fail(server):
    urls = {kind: server.url(kind) for kind in ("good", "slow", "404", "other", "hang")}
    rates = download.mirror_speeds(list(urls.values()), len(CONTENT))
    assert rates[urls["good"]] > rates[urls["slow"]] > 0
    assert [rates[urls[kind]] for kind in ("404", "other", "hang")] == [0, 0, 0]


def within(monkeypatch, tmp_path, *urls, seconds):
    monkeypatch.setenv("EASEL_MIRRORS", " ".join(urls))
    monkeypatch.setattr(download, "_REFUSED", set())
    path = tmp_path / "file.bin"
    return lambda: download.fetch_within(download.mirrors("file.bin"), path, MD5, len(CONTENT), seconds)


def test_a_mirror_that_delivers_in_time_is_used_at_once(server, tmp_path, monkeypatch):
    urls = [server.url(kind).removesuffix("file.bin") for kind in ("404", "good")]
    assert within(monkeypatch, tmp_path, *urls, seconds=30)()
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_none_in_time_is_said_once_and_remembered(server, tmp_path, monkeypatch):
    ask = within(monkeypatch, tmp_path, server.url("hang"), server.url("404"), seconds=5)
    assert not ask()
    count = len(server.log)
    assert not ask()
    assert len(server.log) == count
    assert not (tmp_path / "file.bin").exists()


def test_a_mirror_too_slow_for_the_time_given_is_not_begun(server, tmp_path, monkeypatch):
    assert not within(monkeypatch, tmp_path, server.url("slow"), seconds=0.5)()
    assert "file.bin.part" not in only(tmp_path)


# which mirrors -------------------------------------------------------------------------------------------------------


def test_the_official_host_of_cifar10_comes_last(monkeypatch):
    monkeypatch.delenv("EASEL_MIRRORS", raising=False)
    cifar10 = sources.PUBLISHED["cifar10"]
    urls = download.mirrors(cifar10.archive, cifar10.urls)
    assert len(urls) == 3
    assert "cs.toronto.edu" in urls[-1]
    assert all(url.startswith("https://") for url in urls)
    assert download.mirrors("unknown.bin") == ()


def test_every_published_set_has_an_address_and_only_stanford_is_without_tls(monkeypatch):
    monkeypatch.delenv("EASEL_MIRRORS", raising=False)
    for published in sources.PUBLISHED.values():
        urls = download.mirrors(published.archive, published.urls)
        assert len(urls) >= 2
        assert all(url.endswith("/" + published.archive) for url in urls)
        assert all(url.startswith("https://") or ".stanford.edu/" in url for url in urls)


def test_easel_mirrors_takes_their_place_with_folders_and_files(monkeypatch):
    monkeypatch.setenv("EASEL_MIRRORS", "http://a/sets/  https://b/x.tar.gz http://c/get?it")
    assert download.mirrors("x.tar.gz") == ("http://a/sets/x.tar.gz", "https://b/x.tar.gz", "http://c/get?it")
    assert download.mirrors("y.tar.gz") == ("http://a/sets/y.tar.gz", "http://c/get?it")


@pytest.mark.parametrize("url", ["ftp://a/x", "file:///etc/passwd", "a/b", "https://", "http://[bad"])
def test_a_mirror_that_is_no_web_address_is_refused(monkeypatch, url):
    monkeypatch.setenv("EASEL_MIRRORS", url)
    with pytest.raises(UserError, match="no http or https address"):
        download.mirrors("x")
