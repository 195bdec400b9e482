"""Finding products: stems of two languages, accents, spelling mistakes, paging, hostile texts."""
import itertools
import urllib.parse
import uuid

import pytest

API = "/api/v1"
_serial = itertools.count(1)


@pytest.fixture(scope="module")
def seller(users):
    return users.seller()


@pytest.fixture(scope="module")
def category(admin):
    r = admin.post(f"{API}/categories", {"name": f"Search {uuid.uuid4().hex[:10]}"})
    assert r.status == 201
    return r.json["id"]


@pytest.fixture(scope="module")
def offer(seller, category):
    def make(title, description="", **extra):
        r = seller.post(f"{API}/products", {"categoryId": category, "title": title, "description": description,
                                            "price": {"amount": 100}, "stock": 1, **extra})
        assert r.status == 201, r
        return r.json
    return make


def word():
    """A word that no other test has: its search finds only our products."""
    n = int(uuid.uuid4()) % 26 ** 9
    return "q" + "".join(chr(97 + n // 26 ** i % 26) for i in range(9)) + "x"


def quoted(text):
    return urllib.parse.quote(text)


def find(client, text, more=""):
    return [p["id"] for p in client.pages(f"{API}/search?q={quoted(text)}&limit=50{more}")]


@pytest.mark.parametrize("title,text", [
    ("zapatos rojos", "zapato rojo"), ("zapato rojo", "zapatos rojos"), ("camión de juguete", "camiones"),
    ("Lámpara de pie", "lampara"), ("lampara", "lámparas"), ("sofás cama", "sofa"), ("teléfonos móviles", "telefono movil"),
    ("running shoes", "shoe run"), ("charger for cars", "chargers car"), ("wireless keyboards", "keyboard wireless"),
    ("painted boxes", "box painting"), ("mesa y sillas de jardín", "silla jardin"), ("Ñandú ANDINO", "nandu"),
    ("vestido de algodón orgánico", "ORGÁNICO vestidos"), ("cheap cámara for beginners", "camaras cheap")])
def test_stems_and_accents_of_both_languages_are_one(seller, offer, title, text):
    only = word()
    p = offer(f"{only} {title}")
    assert find(seller, f"{only} {text}") == [p["id"]]


@pytest.mark.parametrize("title", [
    "wi-fi router 802.11ac", "USB-C to HDMI 2.1 (4K@60Hz)", "50/60 Hz adaptor, 3.5mm", "50@60 w/path?x=1", "C++ & C# books",
    "Straße Ørsted æther", "iPhone 12 Pro Max", "AC/DC T-shirt 'XL'", "50% off: 2x1!", "日本語 Привет", "it's \"the\" best", "a\\b|c&d:*"])
def test_every_title_finds_its_product(seller, offer, title):
    only = word()
    p = offer(f"{only} {title}")
    assert p["id"] in find(seller, f"{only} " + title.replace("-", " ").replace('"', " "))


def test_descriptions_are_searched_and_titles_come_first(seller, offer):
    only = word()
    below = offer("Something else", f"with a {only} inside")
    above = offer(f"{only} proper")
    last = offer("Another thing", f"made of {only}")
    assert find(seller, only) == [above["id"], last["id"], below["id"]]


def test_words_are_anded_ored_negated_and_quoted(seller, offer):
    a, b = word(), word()
    both, first, second = offer(f"{a} {b}"), offer(f"{a} alone"), offer(f"{b} {word()} {a}")
    assert set(find(seller, f"{a} {b}")) == {both["id"], second["id"]}
    assert set(find(seller, f"{a} or {b}")) == {both["id"], first["id"], second["id"]}
    assert set(find(seller, f"{a} -{b}")) == {first["id"]}
    assert set(find(seller, f'"{a} {b}"')) == {both["id"]}


def test_a_phrase_may_hold_stop_words(seller, offer):
    only = word()
    p = offer(f"the {only} of the four seasons y de la casa")
    assert find(seller, f'"{only} of the four seasons"') == [p["id"]]
    assert find(seller, f'"four {only}"') == []


@pytest.mark.parametrize("spoil", [lambda w: w[:4] + w[5] + w[4] + w[6:], lambda w: w[:5] + w[6:], lambda w: w[:5] + "z" + w[5:],
                                   lambda w: w[:-1]])
def test_a_misspelt_word_still_finds(seller, offer, spoil):
    only = word()
    p = offer(f"{only} lantern")
    assert p["id"] in find(seller, spoil(only))
    assert p["id"] in find(seller, spoil(only) + " lanterns")


def test_a_real_misspelling_is_mended(seller, offer):
    offer("Camisa blanca")
    assert seller.get(f"{API}/search?q=camsia").json["items"]
    assert [s["text"] for s in seller.get(f"{API}/search/suggest?q=camsia").json["items"]] == ["camisa"]


def test_mended_results_page_too(seller, offer):
    only = word()
    made = {offer(f"{only} no {n}")["id"] for n in range(5)}
    asked = f"{API}/search?q={only[:-2] + only[-1]}&limit=2"
    found = [p["id"] for p in seller.pages(asked)]
    assert len(found) == 5 and set(found) == made


def test_what_is_far_from_everything_finds_nothing(seller):
    assert seller.get(f"{API}/search?q=zzzzzzqqqqwwww").json == {"items": [], "nextCursor": None}


@pytest.mark.parametrize("text", ["the", "de la", "a", "-", '"', "!", "or", "   .  "])
def test_a_text_without_words_finds_nothing(seller, text):
    assert seller.get(f"{API}/search?q={quoted(text)}").status == 200
    assert seller.get(f"{API}/search/suggest?q={quoted(text)}").status == 200


@pytest.fixture(scope="module")
def heap(offer):
    """Seventeen products that share a word, some in the title, with prices and ranks that repeat."""
    only = word()
    made = []
    for n in range(17):
        title, description = (f"{only} item", "") if n % 3 else ("Item", f"{only} here")
        made.append(offer(title, description, price={"amount": 100 * (n % 4)}, condition=("new", "used")[n % 2]))
    return only, made


def in_title(p):
    return p["title"] != "Item"


@pytest.mark.parametrize("limit", [1, 4, 5, 100])
@pytest.mark.parametrize("sort,order", [
    ("relevance", lambda v: sorted(v, key=lambda p: (in_title(p), p["id"]), reverse=True)),
    ("newest", lambda v: sorted(v, key=lambda p: p["id"], reverse=True)),
    ("price", lambda v: sorted(v, key=lambda p: (p["price"]["amount"], p["id"]))),
    ("-price", lambda v: sorted(v, key=lambda p: (p["price"]["amount"], p["id"]), reverse=True))])
def test_paging_a_search_is_complete_and_free_of_duplicates(seller, heap, sort, order, limit):
    only, made = heap
    for path in ("search?q=", "products?q=", "products?search="):
        found = [p["id"] for p in seller.pages(f"{API}/{path}{only}&sort={sort}&limit={limit}")]
        assert found == [p["id"] for p in order(made)]
        used = [p["id"] for p in seller.pages(f"{API}/{path}{only}&sort={sort}&limit={limit}&condition=used")]
        assert used == [p["id"] for p in order([p for p in made if p["condition"] == "used"])]


def test_a_search_is_filtered(seller, heap, category, admin):
    only, made = heap
    empty = admin.post(f"{API}/categories", {"name": f"Empty {word()}"}).json
    assert len(find(seller, only, f"&category={category}")) == 17
    assert find(seller, only, f"&category={empty['slug']}") == []
    assert find(seller, only, "&category=unknown") == []
    assert len(find(seller, only, f"&seller={seller.user['id']}")) == len(find(seller, only, f"&shop={made[0]['shop']['id']}")) == 17
    assert find(seller, only, f"&seller={uuid.uuid4()}") == find(seller, only, f"&shop={uuid.uuid4()}") == []
    assert set(find(seller, only, "&minPrice=100&maxPrice=200")) == {p["id"] for p in made if p["price"]["amount"] in (100, 200)}


def test_edits_are_found_at_once_and_hidden_products_never(seller, offer):
    before, after = word(), word()
    p = offer(f"{before} thing")
    path = f"{API}/products/{p['id']}"
    seller.put(path, {"title": f"{after} thing"})
    assert (find(seller, f'"{before} thing"'), find(seller, f'"{after} thing"')) == ([], [p["id"]])
    seller.put(path, {"status": "inactive"})
    assert find(seller, f'"{after} thing"') == []
    seller.put(path, {"status": "active"})
    assert find(seller, f'"{after} thing"') == [p["id"]]
    seller.delete(path)
    assert find(seller, f'"{after} thing"') == []


def test_suggestions_complete_the_last_word(seller, offer):
    a, b = word(), word()
    for _ in range(2):
        offer(f"{a} {b}")
    offer(f"{a}zz other")
    texts = [s["text"] for s in seller.get(f"{API}/search/suggest?q={a[:-1]}").json["items"]]
    assert texts == [a, a + "zz"]
    texts = [s["text"] for s in seller.get(f"{API}/search/suggest?q={b}%20{a[:6]}&limit=1").json["items"]]
    assert texts == [f"{b} {a}"]
    assert seller.get(f"{API}/search/suggest?q={a[:5]}&limit=21").problem == "invalid"
    assert seller.get(f"{API}/search/suggest?q=").problem == "invalid"


def test_suggestions_ignore_accents_and_case(seller, offer):
    only = word()
    offer(f"{only}á")
    assert [s["text"] for s in seller.get(f"{API}/search/suggest?q={quoted(only.upper())}").json["items"]] == [only + "a"]


HOSTILE = ["' OR 1=1 --", "'; DROP TABLE product; --", "%", "_", "%%%___", "a & b", "a | | b", "!!!", "((((", "))))", "a:*", "a:B & c",
           "<->", "a <2> b", "a <-> ", "\\", "\\\\'", "'" * 50, '"' * 51, "-" * 60, "or or or", "a or", "- a", '"a b', "é" * 100, "\U0001F600",
           "\u202e abc", "a" * 200, " ".join(["w"] * 100), "x" * 199 + "'", "$1", "{}", "[]", "null", "NaN", "\t\n", "日本語", "a\u0301", "''''",
           "--", "/*", "*/ x", "::text", "pg_sleep(10)", "\\x00", "%00".replace("%", "percent"), "&&&&", "||||", "<<>>", "1e309", "^", "~*", "?"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_only_texts(seller, text):
    for path in ("search?q=", "products?q=", "search/suggest?q="):
        r = seller.get(f"{API}/{path}{quoted(text)}")
        assert r.status in (200, 422), r
        if r.status == 200:
            assert isinstance(r.json["items"], list)


def test_every_byte_and_pair_of_operators_is_survived(seller):
    marks = ["&", "|", "!", "(", ")", "<->", ":*", "'", '"', "-", "or", "\\", "*", ":A"]
    for a, b in itertools.product(marks, repeat=2):
        assert seller.get(f"{API}/search?q={quoted(f'{a} lamp {b} table{a}{b}')}").status == 200
    for code in range(256):
        assert seller.get(f"{API}/search?q=lamp%{code:02x}").status in (200, 400, 422)


def test_a_search_needs_a_text(seller):
    for query in ("", "?q=", "?limit=5"):
        assert seller.get(f"{API}/search{query}").problem == "invalid"
