"""Files that are kept for a while, under names of the service's own."""

import errno
import os

import pytest

from foretell.errors import ParameterError, SourceError, StorageError
from foretell.serve.store import MOST_SOURCES, NotThereError, Store, places_of


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def sent(store, label="visits.csv", content=b"a,b\n1,2\n", unpacked=1000):
    with store.receive(label, unpacked) as (file, key):
        file.write(content)
    return key


def test_what_was_sent_is_there_until_it_is_removed(store):
    source = store.source(sent(store, "My visits.CSV"))
    assert source.label == "My visits.CSV"
    assert source.rows.endswith("rows.csv")
    assert source.said(f"{source.rows} is odd") == "My visits.CSV is odd"
    store.drop_source(source.key)
    with pytest.raises(NotThereError, match="send it again"):
        store.source(source.key)


@pytest.mark.parametrize("key", ["..", "../../etc", "x" * 32, ""])
def test_only_keys_of_the_store_are_looked_up(store, key):
    with pytest.raises(NotThereError):
        store.source(key)


def test_what_is_half_sent_is_not_kept(store):
    with pytest.raises(RuntimeError), store.receive("visits.csv", 1000):
        raise RuntimeError
    assert not list(store.sources.iterdir())


def test_a_full_disk_is_said(store):
    def full():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    words = "visits.csv cannot be kept: No space left"
    with pytest.raises(StorageError, match=words), store.receive("visits.csv", 1000):
        full()
    assert not list(store.sources.iterdir())


def test_what_unpacks_to_more_than_is_allowed_is_refused(store):
    import gzip
    import io
    import zipfile

    with pytest.raises(SourceError, match="unpacks to more than 1,000 bytes"):
        sent(store, "bomb.csv.gz", gzip.compress(b"0" * 10_000))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("visits.csv", b"0" * 10_000)
    for name in ("bomb.zip", "bomb.xlsx"):
        with pytest.raises(SourceError, match="unpacks to more than 1,000 bytes"):
            sent(store, name, packed.getvalue())
    assert not list(store.sources.iterdir())


def test_the_oldest_goes_where_too_many_are_kept_but_for_what_is_needed(store):
    keys = [sent(store) for _ in range(MOST_SOURCES)]
    for age, key in enumerate(keys):
        os.utime(store.sources / key, (age, age))
    store.make_room({keys[0]})
    assert store.source(keys[0])
    store.make_room(())
    with pytest.raises(NotThereError):
        store.source(keys[0])
    assert store.source(keys[1])


def test_what_a_killed_service_left_half_made_is_removed(store):
    key = sent(store)
    (store.sources / ("0" * 32)).mkdir()
    (store.figures / "17.json").write_text("{}")
    store.clean()
    assert [path.name for path in store.sources.iterdir()] == [key]
    assert not list(store.figures.iterdir())


def test_names_of_models_are_parts_of_addresses(store, shop, tmp_path):
    for name in ("../x", "A", "", "x" * 65, "a/b"):
        with pytest.raises(ParameterError, match="cannot be called"):
            store.model_place(name)
    with pytest.raises(ParameterError, match="would both be served as 'shop'"):
        places_of((shop, shop))
    with pytest.raises(StorageError, match="no model in"):
        places_of((tmp_path,))
