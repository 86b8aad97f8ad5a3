import base64

from PIL import Image

from pipelines.common.html.pictures import embedded, jpeg_uri


def test_a_picture_carries_its_bytes(tmp_path):
    file = tmp_path / "a.jpg"
    Image.new("RGB", (4, 3), "red").save(file)
    kind, _, data = embedded(file).partition(";base64,")
    assert kind == "data:image/jpeg"
    assert base64.b64decode(data) == file.read_bytes()


def test_what_is_missing_is_empty(tmp_path):
    assert embedded(tmp_path / "none.jpg") == ""
    assert embedded(tmp_path) == ""
    assert jpeg_uri("") == ""
    assert jpeg_uri("AAAA") == "data:image/jpeg;base64,AAAA"
