"""Pictures of products, and every picture that should never be taken."""
import io
import os
import struct
import uuid
import zlib
from pathlib import Path

import pytest
from PIL import Image

API = "/api/v1"
KINDS = {"jpeg": ("image/jpeg", "jpg", "JPEG"), "png": ("image/png", "png", "PNG"), "webp": ("image/webp", "webp", "WEBP")}


@pytest.fixture(scope="module")
def seller(users):
    return users.seller()


@pytest.fixture(scope="module")
def category(admin):
    return admin.post(f"{API}/categories", {"name": f"Pictures {uuid.uuid4().hex[:10]}"}).json["id"]


@pytest.fixture
def product(seller, category):
    r = seller.post(f"{API}/products", {"categoryId": category, "title": "Pictured", "price": {"amount": 1}})
    assert r.status == 201
    return r.json["id"]


def drawn(kind="jpeg", size=(60, 40), mode="RGB", **extra):
    """A picture whose left half is red and whose right half is blue."""
    image = Image.new(mode, size, "red")
    image.paste(Image.new(mode, (size[0] // 2, size[1]), "blue"), (size[0] - size[0] // 2, 0))
    out = io.BytesIO()
    image.save(out, KINDS[kind][2], **extra)
    return out.getvalue()


def send(who, product, data, kind="jpeg", name=None, declared=None, fields=None, part="image"):
    media, ending, _ = KINDS[kind]
    return who.upload(f"{API}/products/{product}/images",
                      [(part, name or f"a.{ending}", declared or media, data)], fields)


def fetch(who, url):
    r = who.get(url)
    assert r.status == 200, r
    return r, Image.open(io.BytesIO(r.body))


def is_red(pixel):
    return pixel[0] > 200 and pixel[2] < 60


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_keeps_its_kind_and_gets_a_thumbnail(seller, anonymous, product, kind):
    r = send(seller, product, drawn(kind, (900, 600)), kind, fields={"alt": "Rojo y «azul»"})
    assert r.status == 201
    image = r.json
    assert (image["width"], image["height"], image["alt"]) == (900, 600, "Rojo y «azul»")
    assert r.headers["Location"] == image["url"]
    answer, whole = fetch(anonymous, image["url"])
    assert answer.headers["Content-Type"] == KINDS[kind][0]
    assert "max-age=31536000" in answer.headers["Cache-Control"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert (whole.format, whole.size) == (KINDS[kind][2], (900, 600))
    _, small = fetch(anonymous, image["thumbUrl"])
    assert (small.format, small.size) == (KINDS[kind][2], (400, 267))
    for picture in (whole, small):
        rgb = picture.convert("RGB")
        assert is_red(rgb.getpixel((2, 2))) and not is_red(rgb.getpixel((picture.width - 3, 2)))


def test_pictures_stand_in_product_and_card_in_their_order(seller, product, users):
    path = f"{API}/products/{product}"
    made = [send(seller, product, drawn(size=(10 + n, 10))).json for n in range(3)]
    seen = seller.get(path)
    assert seen.json["images"] == made
    assert seen.headers["ETag"] == '"4.0"'
    turned = [made[2], made[0], made[1]]
    r = seller.put(f"{path}/images/order", {"ids": [i["id"] for i in turned]})
    assert (r.status, r.json["images"]) == (200, turned)
    card = next(c for c in seller.pages(f"{API}/products?seller={seller.user['id']}") if c["id"] == product)
    assert card["image"] == turned[0]
    assert seller.delete(f"{path}/images/{made[2]['id']}").status == 204
    assert seller.get(path).json["images"] == [made[0], made[1]]
    assert seller.delete(f"{path}/images/{made[2]['id']}").status == 404
    assert users.anonymous().get(made[2]["url"]).status == 404
    assert users.anonymous().get(made[2]["thumbUrl"]).status == 404


def test_an_order_names_every_picture_once(seller, product):
    made = [send(seller, product, drawn()).json["id"] for _ in range(2)]
    for ids in ([made[0]], made + [made[0]], [made[0], str(uuid.uuid4())], []):
        r = seller.put(f"{API}/products/{product}/images/order", {"ids": ids})
        assert (r.status, r.json["errors"][0]["pointer"]) == (422, "/ids")


def test_a_product_has_eight_pictures_at_most(seller, product):
    for n in range(8):
        assert send(seller, product, drawn(size=(4 + n, 4))).status == 201
    r = send(seller, product, drawn())
    assert (r.status, r.problem) == (409, "conflict")
    assert len(seller.get(f"{API}/products/{product}").json["images"]) == 8


def test_pictures_are_the_sellers(users, product, seller):
    thief = users.seller()
    image = send(seller, product, drawn()).json
    assert send(thief, product, drawn()).problem == "not-found"
    assert thief.delete(f"{API}/products/{product}/images/{image['id']}").problem == "not-found"
    assert thief.put(f"{API}/products/{product}/images/order", {"ids": [image["id"]]}).problem == "not-found"
    assert send(users.client(), product, drawn()).problem == "forbidden"
    assert send(seller, uuid.uuid4(), drawn()).problem == "not-found"


def test_pictures_go_with_their_product(seller, product, sql):
    """The relay removes the bodies of deleted files."""
    image = send(seller, product, drawn()).json
    assert seller.delete(f"{API}/products/{product}").status == 204
    assert sql("SELECT count(*) FROM product_image WHERE product_id = %s", (product,))[0][0] == 0
    name = image["url"].rsplit("/", 1)[1]
    assert sql("SELECT deleted_at IS NOT NULL FROM file WHERE path = %s", (name,))[0][0]


def test_a_large_picture_is_made_smaller(seller, anonymous, product):
    r = send(seller, product, drawn("jpeg", (5000, 3000)))
    assert (r.json["width"], r.json["height"]) == (2048, 1229)
    assert fetch(anonymous, r.json["url"])[1].size == (2048, 1229)


def exif_with_gps(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Camera of Ann"
    exif[0x8825] = {1: "S", 2: (2.0, 11.0, 3.5), 3: "W", 4: (80.0, 44.0, 1.0)}
    return exif.tobytes()


@pytest.mark.parametrize("kind", ["jpeg", "webp", "png"])
def test_metadata_are_gone_and_the_picture_stands_upright(seller, anonymous, product, kind):
    data = drawn(kind, (60, 40), exif=exif_with_gps(6))
    assert Image.open(io.BytesIO(data)).getexif().get_ifd(0x8825)
    assert b"Camera of Ann" in data
    r = send(seller, product, data, kind)
    assert (r.json["width"], r.json["height"]) == (40, 60)
    for url in (r.json["url"], r.json["thumbUrl"]):
        answer, image = fetch(anonymous, url)
        exif = image.getexif()
        assert not exif.get_ifd(0x8825) and b"Camera" not in answer.body
        # libvips tells WebP files again how large a pixel is; nothing else is left.
        assert {t: exif[t] for t in exif if t not in (282, 283, 296, 531, 34665)} in ({}, {0x0112: 1})
        assert kind == "webp" or not exif
        assert is_red(image.convert("RGB").getpixel((20, 2))) and not is_red(image.convert("RGB").getpixel((20, 57)))


def test_comments_and_text_chunks_are_gone(seller, anonymous, product):
    from PIL.PngImagePlugin import PngInfo
    info = PngInfo()
    info.add_text("Comment", "<script>secret</script>")
    r = send(seller, product, drawn("png", pnginfo=info), "png")
    assert b"secret" not in fetch(anonymous, r.json["url"])[0].body
    r = send(seller, product, drawn("jpeg", comment=b"secret words"))
    assert b"secret" not in fetch(anonymous, r.json["url"])[0].body


def test_transparency_survives(seller, anonymous, product):
    out = io.BytesIO()
    Image.new("RGBA", (20, 20), (0, 255, 0, 0)).save(out, "PNG")
    r = send(seller, product, out.getvalue(), "png")
    assert fetch(anonymous, r.json["url"])[1].convert("RGBA").getpixel((5, 5))[3] == 0


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_colours_become_common_ones(seller, anonymous, product, mode):
    out = io.BytesIO()
    Image.new(mode, (30, 30)).save(out, "JPEG")
    r = send(seller, product, out.getvalue())
    assert r.status == 201
    assert fetch(anonymous, r.json["url"])[1].mode in ("L", "RGB")


# ---- what is never taken ----

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, body=None, depth=8, colour=2, interlace=0, before=b""):
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    body = zlib.compress(b"\0" * 1000) if body is None else body
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + before + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def jpeg_of_size(width, height):
    data = drawn("jpeg", (16, 16))
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4:]


def webp_of_size(width, height):
    """VP8X says so; the frame is small."""
    frame = drawn("webp", (16, 16))[12:]
    size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + size + frame
    return b"RIFF" + struct.pack("<I", len(body)) + body


def vp8_of_size(width, height):
    data = bytearray(drawn("webp", (16, 16)))
    at = data.index(b"\x9d\x01\x2a") + 3
    data[at:at + 4] = struct.pack("<HH", width, height)
    return bytes(data)


def moving(kind):
    frames = [Image.new("RGB", (20, 20), c) for c in ("red", "blue", "green")]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], duration=100)
    return out.getvalue()


def gif():
    out = io.BytesIO()
    Image.new("P", (4, 4)).save(out, "GIF")
    return out.getvalue()


SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><image href="file:///etc/passwd"/></svg>'
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
ZIP = b"PK\x03\x04" + b"\0" * 40
HTML = b"<html><script>alert(1)</script>"
TIFF = b"II*\0" + b"\x08\0\0\0" + b"\0" * 40
BMP = b"BM" + b"\0" * 60
JUNK = os.urandom(3000)

BOMBS = {
    "png 12,001 wide": ("png", png(12001, 1)),
    "png 12,001 high": ("png", png(1, 12001)),
    "png 40,000,001 pixels": ("png", png(6325, 6325)),
    "png 65,535 x 65,535": ("png", png(65535, 65535)),
    "png of the largest size": ("png", png(2 ** 31 - 1, 2 ** 31 - 1)),
    "png of no size": ("png", png(0, 0)),
    "png of size -1": ("png", png(2 ** 32 - 1, 2 ** 32 - 1)),
    "png of 16 bits and alpha, interlaced, huge": ("png", png(20000, 20000, depth=16, colour=6, interlace=1)),
    "png whose pixels end early": ("png", png(3000, 3000)),
    "png whose pixels are no stream": ("png", png(100, 100, b"not zlib at all")),
    "png with a bad checksum": ("png", drawn("png")[:-20] + b"\0" * 20),
    "png of a bad colour type": ("png", png(10, 10, colour=5)),
    "png with an endless palette": ("png", png(10, 10, colour=3, before=chunk(b"PLTE", b"\0" * 3000))),
    "png cut in the header": ("png", drawn("png")[:20]),
    "png cut in the middle": ("png", drawn("png", (400, 400), "RGB")[:-300]),
    "jpeg 65,500 x 65,500": ("jpeg", jpeg_of_size(65500, 65500)),
    "jpeg 12,001 wide": ("jpeg", jpeg_of_size(12001, 10)),
    "jpeg of no height": ("jpeg", jpeg_of_size(10, 0)),
    "jpeg larger than its pixels": ("jpeg", jpeg_of_size(4000, 4000)),
    "jpeg cut in the middle": ("jpeg", drawn("jpeg", (400, 400), quality=95)[:1500]),
    "jpeg that is only a mark": ("jpeg", b"\xff\xd8\xff\xe0" + b"\0" * 30),
    "jpeg of marks only": ("jpeg", b"\xff\xd8" + b"\xff\xda\0\x02" * 5000),
    "jpeg start, then noise": ("jpeg", b"\xff\xd8\xff\xe0" + JUNK),
    "webp 16,383 x 16,383": ("webp", vp8_of_size(16383, 16383)),
    "webp canvas of 2^24": ("webp", webp_of_size(2 ** 24, 2 ** 24)),
    "webp canvas that is not its frame's": ("webp", webp_of_size(2000, 2000)),
    "webp larger than its pixels": ("webp", vp8_of_size(5000, 5000)),
    "webp cut in the middle": ("webp", drawn("webp", (400, 400), quality=95)[:60]),
    "webp without a frame": ("webp", b"RIFF\x04\0\0\0WEBP" + b"\0" * 20),
    "webp that moves": ("webp", moving("WEBP")),
    "gif as jpeg": ("jpeg", gif()), "gif with a script as png": ("png", gif() + HTML),
    "svg as png": ("png", SVG), "svg as jpeg": ("jpeg", SVG), "svg as webp": ("webp", SVG),
    "pdf as png": ("png", PDF), "pdf in front of a png": ("png", PDF + drawn("png")),
    "zip as jpeg": ("jpeg", ZIP), "html as png": ("png", HTML), "script as jpeg": ("jpeg", b"#!/bin/sh\nid\n"),
    "tiff as jpeg": ("jpeg", TIFF), "bmp as png": ("png", BMP), "noise": ("jpeg", JUNK), "one byte": ("jpeg", b"\xff"),
    "nothing": ("jpeg", b""), "spaces in front of a png": ("png", b"  " + drawn("png")), "zeros": ("png", b"\0" * 4000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_r58_a_bomb_is_refused_and_leaves_nothing(seller, product, env, name):
    kind, data = BOMBS[name]
    before = stored(env)
    r = send(seller, product, data, kind)
    assert (r.status, r.problem) == (422, "invalid-image"), r
    assert r.json["detail"]
    assert stored(env) == before
    assert seller.get(f"{API}/products/{product}").json["images"] == []


def stored(env):
    return {p for p in Path(env.blob_dir).rglob("*") if p.is_file()}


def test_r58_the_largest_allowed_picture_is_taken(seller, product):
    row = b"\0" + b"\x7f" * 12000
    r = send(seller, product, png(12000, 3333, zlib.compress(row * 3333), colour=0), "png")
    assert (r.status, r.json["width"], r.json["height"]) == (201, 2048, 569)


@pytest.mark.parametrize("kind,tail", [("png", PDF), ("jpeg", ZIP + HTML), ("png", HTML), ("jpeg", b"GIF89a/*" + HTML), ("webp", PDF)])
def test_what_follows_a_picture_is_not_kept(seller, anonymous, product, kind, tail):
    r = send(seller, product, drawn(kind) + tail, kind)
    assert r.status == 201
    for url in (r.json["url"], r.json["thumbUrl"]):
        body = fetch(anonymous, url)[0].body
        assert tail not in body and b"script" not in body and b"%PDF" not in body


@pytest.mark.parametrize("kind,name,declared", [
    ("jpeg", "a.png", "image/jpeg"), ("jpeg", "a.jpg", "image/png"), ("png", "a.jpg", "image/jpeg"), ("png", "a.webp", "image/webp"),
    ("jpeg", "a.svg", "image/svg+xml"), ("jpeg", "a.html", "image/jpeg"), ("jpeg", "a", "image/jpeg"), ("jpeg", "jpg", "image/jpeg"),
    ("jpeg", "a.jpg.exe", "image/jpeg"), ("jpeg", "a.jpg", "text/html"), ("jpeg", "a.jpg", "application/octet-stream"),
    ("png", "a.png", "image/*"), ("webp", "a.webp", "image/webp2"), ("jpeg", "a.jpg ", "image"), ("jpeg", "a.jpg.", "image/jpeg")])
def test_r57_content_type_and_name_must_agree(seller, product, kind, name, declared):
    r = send(seller, product, drawn(kind), kind, name, declared)
    assert (r.status, r.problem) == (422, "invalid-image")


@pytest.mark.parametrize("name", ["../../etc/cron.d/a.jpg", "..\\..\\a.jpg", "/etc/passwd.jpg", "%2e%2e%2fa.jpg", "a" * 3000 + ".jpg",
                                  "COM1.jpg", "ñandú \U0001F600.jpg", ".jpg", "a;b.jpg", "A.JPEG"])
def test_r60_the_clients_name_is_only_a_label(seller, anonymous, product, env, name, sql):
    before = stored(env)
    r = send(seller, product, drawn(), name=name)
    assert r.status == 201
    new = stored(env) - before
    assert len(new) == 2
    for path in new:
        assert path.name.startswith("p") and len(path.name) == 37 and path.parts[-4] == "p"
    label = sql("SELECT name FROM file WHERE id = %s", (r.json["id"],))[0][0]
    assert "/" not in label and "\\" not in label and 0 < len(label) <= 255


@pytest.mark.parametrize("name", [
    "..", "../a.jpg", "..%2f..%2fetc%2fpasswd", "%2e%2e", "p/../../x", "p" + "0" * 32, "p" + "0" * 32 + ".", "p" + "0" * 32 + ".jpg.jpg",
    "P" + "0" * 32 + ".jpg", "p" + "0" * 31 + "g.jpg", "p" + "0" * 33 + ".jpg", "f" + "0" * 32 + ".jpg", "p" + "0" * 32 + ".JPG",
    "p" + "0" * 32 + ".jpg%00", "p" + "0" * 32 + ".pdf", "p" + "0" * 32 + "%2ejpg%0a", "x" * 900, "p%5c..%5cx.jpg", "p" + "0" * 32 + ".jpg"])
def test_r60_no_other_name_finds_a_file(anonymous, name):
    assert anonymous.get(f"/images/{name}").status in (400, 404)


@pytest.mark.parametrize("files,fields,problem", [
    ([], None, "invalid"), ([("picture", "a.jpg", "image/jpeg", b"x")], None, "bad-multipart"), ([], {"image": "text"}, "bad-multipart"),
    ([("image", "a.jpg", "image/jpeg", drawn())] * 2, None, "bad-multipart"),
    ([("image", "a.jpg", "image/jpeg", drawn())], {"role": "admin"}, "bad-multipart"),
    ([("image", "a.jpg", "image/jpeg", drawn())], {"alt": "x" * 201}, "invalid"),
    ([("image", "a.jpg", "image/jpeg", drawn())], {"alt": "a\x01b"}, "invalid")])
def test_the_form_has_one_picture_and_its_text(seller, product, files, fields, problem):
    assert seller.upload(f"{API}/products/{product}/images", files, fields).problem == problem


def test_a_picture_over_five_megabytes_is_too_large(seller, product):
    r = send(seller, product, drawn() + b"\0" * (5 * 1024 * 1024))
    assert (r.status, r.problem) == (413, "too-large")


def test_pictures_arrive_only_as_forms(seller, product):
    r = seller.post(f"{API}/products/{product}/images", {"image": "x"})
    assert (r.status, r.problem) == (415, "unsupported-media-type")


def test_stored_pictures_can_be_read_by_the_web_servers_group_only(seller, product, env):
    before = stored(env)
    send(seller, product, drawn())
    for path in stored(env) - before:
        assert path.stat().st_mode & 0o777 == 0o640
        assert path.parent.stat().st_mode & 0o777 == 0o750
