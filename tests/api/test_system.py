"""Health, documents, keys, and what every answer has in common."""
import itertools
import json
import urllib.parse
from pathlib import Path

import pytest

API = "/api/v1"
HEADERS = {
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-site",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
}


def test_health_names_every_dependency(anonymous):
    r = anonymous.get("/health")
    assert r.status == 200
    assert (r.json["postgresql"], r.json["redis"], r.json["broker"]) == ("ok", "ok", "ok")


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/info", "/", "/.well-known/jwks.json", "/openapi.json"])
def test_documents_are_served_bare_and_under_both_prefixes(anonymous, path):
    bare = anonymous.get(path)
    assert bare.status == 200
    if path != "/":
        assert anonymous.get(API + path).status == anonymous.get("/api" + path).status == 200


def test_openapi_is_31_and_names_every_operation_once(anonymous):
    doc = anonymous.get("/openapi.json").json
    assert doc["openapi"].startswith("3.1")
    ids = [op["operationId"] for item in doc["paths"].values() for op in item.values()]
    assert len(ids) == len(set(ids)) > 5


@pytest.mark.parametrize("system,path", [("livemarket", "/chats"), ("ecommerce", "/api/conversations")])
def test_each_older_system_has_a_document_of_its_own(anonymous, system, path):
    doc = anonymous.get(f"/openapi/{system}").json
    assert doc["servers"] == [{"url": "/"}] and "get" in doc["paths"][path]
    ids = {op["operationId"] for item in doc["paths"].values() for op in item.values()}
    ours = {op["operationId"] for item in anonymous.get("/openapi.json").json["paths"].values() for op in item.values()}
    assert ids and not ids & ours
    assert anonymous.get("/openapi/nobody").problem == "not-found"


def test_metrics_count_requests(anonymous):
    anonymous.get("/health/live")
    text = anonymous.get("/metrics").text
    assert 'plaza_requests_total{pool="web",operation="healthLive",class="2xx"}' in text
    assert 'plaza_request_seconds_bucket{pool="web",operation="healthLive",le="+Inf"}' in text


def test_metrics_are_of_all_pools(anonymous, users):
    client = users.client()
    users.login(client.email, client.password)
    text = anonymous.get("/metrics").text
    assert 'plaza_requests_total{pool="auth",operation="authLogin",class="2xx"}' in text
    for pool in ("web", "auth", "ingest"):
        assert f'plaza_events_published_total{{pool="{pool}"}}' in text


def test_metrics_of_one_name_stand_together(anonymous):
    """The format wants it, and no line twice."""
    lines = [line.rsplit(" ", 1)[0] for line in anonymous.get("/metrics").text.splitlines() if not line.startswith("#")]
    assert len(lines) == len(set(lines)) > 20
    kinds = [line.split("{")[0].removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for line in lines]
    assert len([k for k, _ in itertools.groupby(kinds)]) == len(set(kinds)) >= 3


def test_jwks_has_only_public_members(anonymous):
    for key in anonymous.get("/.well-known/jwks.json").json["keys"]:
        assert set(key) == {"kty", "use", "alg", "kid", "n", "e"}


@pytest.mark.parametrize("path,status", [("/health/live", 200), ("/api/v1/nowhere", 404)])
def test_r10_security_headers_are_on_every_answer(anonymous, path, status):
    r = anonymous.get(path)
    assert r.status == status
    for name, value in HEADERS.items():
        assert r.headers.get_all(name) == [value]
    assert "default-src 'none'" in r.headers["Content-Security-Policy"]


def test_an_unknown_path_is_a_problem_document(anonymous):
    r = anonymous.get("/api/v1/nowhere")
    assert (r.status, r.problem) == (404, "not-found")
    assert r.json["instance"].endswith(r.headers["X-Request-Id"])


def test_r5_a_wrong_method_names_the_right_ones(anonymous):
    r = anonymous.request("DELETE", API + "/info")
    assert (r.status, r.problem) == (405, "method-not-allowed")
    assert r.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_titles_follow_accept_language(anonymous):
    for method, path, titles in (("GET", "/nowhere", ("No encontrado", "Not found")),
                                 ("DELETE", "/info", ("Método no permitido", "Method not allowed"))):
        es = anonymous.request(method, API + path, headers={"Accept-Language": "fr, es-EC;q=0.8, en;q=0.5"})
        en = anonymous.request(method, API + path, headers={"Accept-Language": "en"})
        assert (es.json["title"], en.json["title"]) == titles
        # RFC 9110 section 8.5
        assert (es.headers.get_all("Content-Language"), en.headers.get_all("Content-Language")) == (["es"], ["en"])


def test_a_request_id_is_taken_over_only_when_it_is_clean(anonymous):
    assert anonymous.get("/info", headers={"X-Request-Id": "abc-1.2_Z"}).headers["X-Request-Id"] == "abc-1.2_Z"
    for dirty in ("a b", "x" * 65, "<script>"):
        assert anonymous.get("/info", headers={"X-Request-Id": dirty}).headers["X-Request-Id"] != dirty


def test_a_matching_etag_answers_304(anonymous):
    first = anonymous.get(API + "/categories")
    assert first.status == 200
    again = anonymous.get(API + "/categories", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


def test_head_has_the_headers_of_get_and_no_body(anonymous):
    r = anonymous.request("HEAD", "/info")
    assert (r.status, r.body) == (200, b"")
    assert r.headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize("query,code", [("a=1", "invalid"), ("limit=1&limit=2", "duplicate-parameter"),
                                        ("limit=%zz", "bad-request"), ("cursor=abc", "bad-cursor")])
def test_r14_bad_queries_are_named(anonymous, query, code):
    assert anonymous.get(f"{API}/products?{query}").problem == code


def test_r4_long_headers_are_refused(anonymous, env):
    r = anonymous.get("/info", headers={"X-Long": "a" * 9000})
    assert (r.status, r.problem) == ((431, "headers-too-large") if env.web_server == "nginx" else (400, "bad-request"))


def test_r4_long_paths_and_queries_are_refused(anonymous):
    assert anonymous.get("/" + "a" * 1500).status == 414
    assert anonymous.get(f"{API}/products?q={'a' * 2500}").status == 414


@pytest.mark.parametrize("path", ["/api/v1/../etc/passwd", "/api/v1/products/%2e%2e", "/api/v1//products",
                                  "/api/v1/products/%00", "/api/v1/products/%ff%fe", "/api/v1/products/..%2f..%2fx"])
def test_r60_paths_never_climb(anonymous, path):
    assert anonymous.get(path).status in (400, 404)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:5173.evil.example",
                                    "https://localhost:5173", "http://localhost", "http://sub.localhost:5173"])
def test_r11_strange_origins_get_no_cors(anonymous, origin):
    r = anonymous.get("/info", headers={"Origin": origin})
    assert r.headers.get("Access-Control-Allow-Origin") is None
    assert "Origin" in r.headers["Vary"]


def test_r11_the_configured_origin_may_call(anonymous, env):
    origin = env.cors_origin
    r = anonymous.request("OPTIONS", API + "/products", headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
    assert r.status == 204
    assert r.headers["Access-Control-Allow-Origin"] == origin
    assert "POST" in r.headers["Access-Control-Allow-Methods"]


BAD_JSON = ['', '{', '{"a":1}x', '{"email":"a","email":"b"}', '[1]', '"x"', '{"a":NaN}', '{"a":1e400}', "{'a':1}",
            '{"a":"\\ud800"}', '{"a":"\\u0000"}', '{"a":12345678901234567890}', '{"a":' + '[' * 40 + ']' * 40 + '}',
            '\ufeff{}', '{"a":1,}', '{"a":01}']


@pytest.mark.parametrize("text", BAD_JSON)
def test_r17_bad_json_is_refused(anonymous, text):
    r = anonymous.request("POST", API + "/auth/login", body=text.encode(), headers={"Content-Type": "application/json"})
    assert (r.status, r.problem) in ((400, "bad-json"), (422, "invalid"))


def test_every_fault_of_a_body_is_told_with_its_pointer(anonymous):
    r = anonymous.post(API + "/auth/register", {"email": "no", "password": 7, "extra": True})
    assert (r.status, r.problem) == (422, "invalid")
    faults = {e["pointer"]: e["code"] for e in r.json["errors"]}
    assert faults["/email"] == "invalid_email"
    assert faults["/password"] == "wrong_type"
    assert faults["/extra"] == "unknown_member"


def test_only_json_is_taken_and_never_compressed(anonymous):
    for headers in ({"Content-Type": "text/plain"}, {"Content-Type": "application/json", "Content-Encoding": "gzip"}):
        r = anonymous.request("POST", API + "/auth/login", body=b"{}", headers=headers)
        assert (r.status, r.problem) == (415, "unsupported-media-type")


def test_r4_a_large_json_body_is_refused(anonymous):
    body = json.dumps({"email": "a@b.example", "password": "x" * 70000}).encode()
    r = anonymous.request("POST", API + "/auth/login", body=body, headers={"Content-Type": "application/json"})
    assert (r.status, r.problem) == (413, "too-large")


def test_a_body_of_which_nothing_is_required_may_be_left_out(client, anonymous):
    assert client.post(API + "/realtime/session").status == 200
    assert client.post(API + "/realtime/session", {}).status == 200
    r = client.request("POST", API + "/realtime/session", body=b"{}", headers={"Content-Type": "text/plain"})
    assert (r.status, r.problem) == (415, "unsupported-media-type")
    r = client.request("POST", API + "/realtime/session", body=b"{}")
    assert (r.status, r.problem) == (415, "unsupported-media-type")
    r = anonymous.post(API + "/auth/login")
    assert (r.status, r.problem) == (415, "unsupported-media-type")


def listening(port):
    """Local addresses on which somebody listens on this TCP port, as the kernel writes them."""
    return [row.split()[1].split(":")[0] for table in ("tcp", "tcp6")
            for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
            if row.split()[3] == "0A" and int(row.split()[1].split(":")[1], 16) == port]


def test_r1_nothing_of_a_private_stack_listens_to_the_network(env):
    for port in (urllib.parse.urlsplit(env.base_url).port, int(env.mqtt_port), int(env.mqtt_ws_port)):
        assert listening(port) == ["0100007F"], f"port {port} is open on other addresses than 127.0.0.1"
