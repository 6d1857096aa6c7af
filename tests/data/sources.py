"""Files of a small shop, as tests write and read them."""

import foretell as ft


def read(source, **settings):
    return ft.read_events(source, **({"id": "who", "time": "when", "marks": ["much"]} | settings))


def put(folder, name, content):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
