"""Requests that no client of good will sends; the answer must be an error of one shape, never a 500."""

from typing import Any

import nasty_images

PNG = nasty_images.good()["png 8"]
Request = tuple[str, str, dict[str, Any]]
"""Method, path, further arguments of a client."""
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")
PATHS = ("/none", "/translate", "/predictions/p/input.png", "/web", "/web/", "/", "/v2/models/x")
ODD_PATHS = (
    "/web/%00", "/web/..%2f..%2fserver.py", "/web/" + "a" * 5000, "/web/%ff%fe", "/predictions/%00",
    "/predictions/..%2f", "/predictions/p/x.png", "/v2/models/%F0%9F%92%A9", "/predictions?last=1e9",
    f"/predictions?last={'9' * 5000}", "/v2/models/sem2layout/versions/%0d%0a", "/%", "/%80", "//", "/..",
)  # fmt: skip
RANGES = ("bytes=9999999-", "bytes=x", "lines=1-2", "bytes=-0", "bytes=5-1", "bytes=" + "0-1," * 500)
ORIGINS = ("http://[", "null", "", "http://[::1", "//", "http://a:b@c:99999999", b"\xff")
HOSTS = ("", "[", "[::1", "evil.example", "127.0.0.1:x", "127.0.0.1 ", "a@127.0.0.1", b"\xff")
MOMENTS = (
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00Z", "x", "",
    "9999-12-31T23:59:59.999999Z", "2026-02-30T00:00:00Z", "2026-01-01", "2026-W01-1T00:00:00Z",
)  # fmt: skip
BODIES = (
    b"", b"{", b"[" * 200_000, b'{"verdict": "\\ud800"}', b"\xff\xfe", b'{"verdict": NaN}', b"null", b"[]",
    b'{"verdict": ' + b"9" * 5000 + b"}", b'{"verdict": "accept", "note": "\\ud800"}',
    b'{"verdict": null, "note": 7}',
)  # fmt: skip
KINDS = ("application/json", "text/plain", "multipart/form-data", "multipart/form-data; boundary=", "\t;;=")
PART = b"--b\r\ncontent-disposition: form-data; name=%s\r\n\r\n%s\r\n--b--"
FORMS = (
    b"", b"--b", b"--b\r\n\r\n\r\n--b--", PART % (b"image", b"x"), PART % (b'"image"; filename="\xff"', b""),
    PART % (b"image; filename*=utf-8''%ff", b"x"), b"--b\r\n" + b"a" * 10**5, b"--b\r\n" * 1000,
)  # fmt: skip
VALUES: tuple[dict[str, object], ...] = (
    {"direction": ""}, {"direction": "\x00"}, {"seed": "9" * 5000}, {"seed": -1}, {"pixel_nm": "nan"},
    {"pixel_nm": "1e-320"}, {"pixel_nm": "9" * 400}, {"bits": "twelve"}, {"bits": "9" * 400},
    {"format": "gif"}, {"id": "../x"}, {"id": "x" * 65},
)  # fmt: skip


def requests() -> list[Request]:
    """All of them."""
    made: list[Request] = [(method, path, {}) for method in METHODS for path in PATHS]
    made += [("GET", path, {}) for path in ODD_PATHS]
    made += [("GET", path, {"headers": {"range": r}}) for path in ("/", "/web/serve.js") for r in RANGES]
    made += [("POST", "/translate", {"headers": {"origin": o}, "content": b"x"}) for o in ORIGINS]
    made += [("GET", "/v2", {"headers": {"host": host}}) for host in HOSTS]
    made += [
        (
            "PUT",
            "/predictions/p/labels/l",
            {"params": {"kind": "truth", "made_at": m}, "files": {"image": PNG}},
        )
        for m in MOMENTS
    ]
    made += [
        ("PUT", "/predictions/p/verdicts/e", {"content": body, "headers": {"content-type": kind}})
        for body in BODIES
        for kind in KINDS
    ]
    form = {"content-type": "multipart/form-data; boundary=b"}
    translate = {"direction": "sem2layout"}
    made += [
        ("POST", "/translate", {"content": content, "params": translate, "headers": form})
        for content in FORMS
    ]
    made += [("POST", "/translate", {"params": translate | v, "files": {"image": PNG}}) for v in VALUES]
    return made
