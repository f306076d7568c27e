"""Fashion-MNIST: where it is looked for, and downloads from a server on this machine."""

import gzip
import hashlib
import http.server
import os
import threading

import numpy as np
import pytest

from densa.datasets import fashion_mnist

NAMES = tuple(fashion_mnist.SHA256)


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.astype(np.uint8).tobytes()


def make_files(seed=0):
    """Four small files in the format of the real ones, uncompressed, by name."""
    random = np.random.default_rng(seed)
    files = {}
    for name in NAMES:
        rows = 6 if name.startswith("train") else 3
        shape, high = ((rows, 28, 28), 256) if "images" in name else ((rows,), 10)
        files[name] = idx(random.integers(0, high, shape))
    return files


def write_files(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))


@pytest.fixture
def files(monkeypatch):
    files = make_files()
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(fashion_mnist, "SHA256", digests)
    return files


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """A machine that has no copy of the data set; downloads go nowhere unless a test says where."""
    monkeypatch.delenv("DENSA_DATA", raising=False)
    monkeypatch.setenv("DENSA_DATA_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", str(tmp_path / "debian"))
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache" / "densa" / "fashion-mnist"


@pytest.fixture
def server():
    """An HTTP server; `pages` maps paths to bytes, `asked` lists the requests."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(self.path)
            body = self.server.pages.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"") + self.server.missing_bytes))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.pages, server.asked, server.missing_bytes = {}, [], 0
        server.url = f"http://127.0.0.1:{server.server_port}/data"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def serve(server, files):
    server.pages = {f"/data/{n}.gz": gzip.compress(content) for n, content in files.items()}


def check(data, files):
    for (x, y), part in zip(data, ("train", "t10k"), strict=True):
        assert x.dtype == y.dtype == np.uint8
        assert x.tobytes() == files[f"{part}-images-idx3-ubyte"][16:]
        assert y.tobytes() == files[f"{part}-labels-idx1-ubyte"][8:]
        assert x.shape == (len(y), 28, 28)


@pytest.mark.parametrize("folder", ["data", "data/fashion-mnist", "debian", "CACHE"])
def test_found_on_this_machine(monkeypatch, tmp_path, cache, files, folder):
    monkeypatch.setenv("DENSA_DATA", str(tmp_path / "data"))
    write_files(cache if folder == "CACHE" else tmp_path / folder, files)
    check(fashion_mnist.load_data(), files)


def test_the_users_folder_comes_first(monkeypatch, tmp_path, cache, files):
    monkeypatch.setenv("DENSA_DATA", str(tmp_path / "data"))
    others = make_files(seed=1)
    write_files(tmp_path / "debian", others)
    write_files(cache, others)
    write_files(tmp_path / "data", files)
    check(fashion_mnist.load_data(), files)


def test_download_then_cache(server, cache, files):
    serve(server, files)
    check(fashion_mnist.load_data(base_url=server.url), files)
    assert sorted(os.listdir(cache)) == sorted(f"{name}.gz" for name in files)
    assert len(server.asked) == 4
    check(fashion_mnist.load_data(base_url=server.url), files)
    assert len(server.asked) == 4


def test_url_from_environment(monkeypatch, server, files):
    serve(server, files)
    monkeypatch.setenv("DENSA_DATA_URL", server.url + "/")
    check(fashion_mnist.load_data(), files)


def test_second_mirror_helps(monkeypatch, server, files):
    serve(server, files)
    monkeypatch.delenv("DENSA_DATA_URL")
    monkeypatch.setattr(fashion_mnist, "MIRRORS", ("http://127.0.0.1:9/", server.url))
    check(fashion_mnist.load_data(), files)


def corrupt(body):
    return body[:20] + bytes([body[20] ^ 0xFF]) + body[21:]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(corrupt, id="flipped byte"),
        pytest.param(lambda body: body[:-5], id="cut short"),
        pytest.param(lambda body: b"<html>sign in first</html>", id="a web page"),
        pytest.param(lambda body: b"", id="empty"),
        pytest.param(lambda body: body + b"\0garbage", id="trailing garbage"),
        pytest.param(
            lambda body: gzip.compress(gzip.decompress(body)[:-1] + b"\x0b"), id="other content"
        ),
        pytest.param(lambda body: None, id="not found"),
    ],
)
def test_corrupt_download_leaves_nothing(server, cache, files, change):
    serve(server, files)
    page = f"/data/{NAMES[-1]}.gz"
    server.pages[page] = change(server.pages[page])
    with pytest.raises(OSError, match=rf"(?s){NAMES[-1]}\.gz could not.*{page}.*DENSA_DATA"):
        fashion_mnist.load_data(base_url=server.url)
    assert sorted(os.listdir(cache)) == sorted(f"{name}.gz" for name in NAMES[:-1])
    # The next try takes up where this one stopped.
    serve(server, files)
    server.asked.clear()
    check(fashion_mnist.load_data(base_url=server.url), files)
    assert server.asked == [page]


def test_connection_cut(server, cache, files):
    serve(server, files)
    server.missing_bytes = 10
    server.pages = {page: body[:-10] for page, body in server.pages.items()}
    with pytest.raises(OSError, match="could not be downloaded"):
        fashion_mnist.load_data(base_url=server.url)
    assert os.listdir(cache) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "file:///etc/", "ftp://127.0.0.1/"])
def test_no_server_names_the_ways_out(cache, files, url):
    with pytest.raises(OSError, match="dataset-fashion-mnist.*DENSA_DATA.*DENSA_DATA_URL"):
        fashion_mnist.load_data(base_url=url)
    assert os.listdir(cache) == []


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("train-images-idx3-ubyte", np.zeros((6, 28, 27)), r"\(28, 27\), expected \(28, 28\)"),
        ("train-labels-idx1-ubyte", np.zeros(5), "6 images, .*5 labels"),
        ("t10k-labels-idx1-ubyte", np.full(3, 10), "label 10, expected 0 to 9"),
    ],
)
def test_wrong_local_files(tmp_path, files, name, array, message):
    write_files(tmp_path / "debian", {**files, name: idx(array)})
    with pytest.raises(ValueError, match=message):
        fashion_mnist.load_data()


def test_the_real_thing(monkeypatch):
    folder = "/usr/share/datasets/fashion-mnist"
    if not os.path.isdir(folder):
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", folder)
    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()
    assert (x_train.shape, x_test.shape) == ((60000, 28, 28), (10000, 28, 28))
    assert np.bincount(y_train).tolist() == [6000] * 10
    assert np.bincount(y_test).tolist() == [1000] * 10
    for name in NAMES:
        fashion_mnist._check(os.path.join(folder, name + ".gz"), name)
