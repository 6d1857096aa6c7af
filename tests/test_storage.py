"""Saved models: the same answers to the last bit, never half a model, never a surprise."""

import contextlib
import json
import pickle
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from benchmarks.torture.models import seal

import foretell as ft
from foretell import baselines
from foretell.core.contracts import State
from foretell.data.state import ragged_column
from foretell.errors import NotFittedError, ParameterError, StorageError
from foretell.forecasters import load_keras
from foretell.storage.directory import read, write
from foretell.storage.files import read_manifest

HORIZONS = ["14d", "60d"]
FIXTURE = Path(__file__).parent / "fixtures" / "events_v1"


@pytest.fixture(scope="module")
def saved(small_model, tmp_path_factory):
    return small_model.save(tmp_path_factory.mktemp("models") / "shop")


@pytest.fixture
def target(saved, tmp_path):
    """A saved model that a test may harm."""
    place = tmp_path / "model"
    place.mkdir()
    for file in saved.iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    return place


def test_what_is_loaded_answers_like_what_was_saved_to_the_last_bit(small_model, saved):
    loaded = ft.load(saved)
    assert loaded.predict(HORIZONS).equals(small_model.predict(HORIZONS))
    assert loaded.predict_groups(HORIZONS).equals(small_model.predict_groups(HORIZONS))
    assert loaded.log_.to_polars().equals(small_model.log_.to_polars())
    assert loaded.log_.report == small_model.log_.report
    assert repr(loaded.log_) == repr(small_model.log_)
    assert loaded.model_.clock == small_model.model_.clock
    assert loaded.get_params() == small_model.get_params()


def test_a_loaded_model_goes_on_with_new_events(small, small_log, saved):
    rows = small.events().filter(pl.col("ds") > pl.date(2023, 6, 30))
    updated = ft.load(saved).update(small.read(rows))
    assert updated.log_.to_polars().equals(small_log.to_polars())


def test_what_is_loaded_can_be_saved_again(saved, tmp_path):
    again = ft.load(ft.load(saved).save(tmp_path / "again"))
    assert again.predict(horizons=[]).equals(ft.load(saved).predict(horizons=[]))


def test_a_model_holds_json_and_plain_arrays_and_nothing_that_runs(saved):
    assert sorted(file.name for file in saved.iterdir()) == [
        "arrays.npz", "data-customers.parquet", "data-groups.parquet", "model.json",
    ]  # fmt: skip
    json.loads((saved / "model.json").read_text(encoding="utf-8"))
    with np.load(saved / "arrays.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype.kind in "iufb" for name in arrays.files)


def test_saving_makes_missing_parents_and_leaves_nothing_else_behind(small_model, tmp_path):
    place = small_model.save(tmp_path / "of" / "many" / "shops")
    assert place == tmp_path / "of" / "many" / "shops"
    assert [p.name for p in place.parent.iterdir()] == ["shops"]


def test_a_newer_model_takes_the_place_of_the_old_one(small_model, target):
    count = len(list(target.iterdir()))
    small_model.save(target)
    small_model.save(target)
    assert len(list(target.iterdir())) == count
    assert [p.name for p in target.parent.iterdir()] == ["model"]
    assert ft.load(target).predict(horizons=[]).equals(small_model.predict(horizons=[]))


def test_what_lies_beside_a_model_is_never_lost(small_model, target):
    (target / "thesis.tex").write_text("years of work")
    with pytest.raises(StorageError, match=r"such as 'thesis\.tex', away"):
        small_model.save(target)
    assert (target / "thesis.tex").read_text() == "years of work"


def test_a_file_that_the_manifest_does_not_list_is_not_the_models(small_model, target):
    """Whatever its name."""
    (target / "stores.parquet").write_text("the analyst's own")
    with pytest.raises(StorageError, match=r"such as 'stores\.parquet', away"):
        small_model.save(target)
    assert (target / "stores.parquet").read_text() == "the analyst's own"


def test_panics_of_a_reader_are_damage_like_any_other(target, monkeypatch):
    def panic(*args, **kwargs):
        raise pl.exceptions.PanicException("index out of bounds")

    monkeypatch.setattr(pl, "read_parquet", panic)
    with pytest.raises(StorageError, match=r"is damaged \(index out of bounds\); save it again"):
        ft.load(target)


def test_a_manifest_of_somebody_else_is_no_model(small_model, tmp_path):
    (tmp_path / "model.json").write_text('{"name": "a model of another program"}')
    with pytest.raises(StorageError, match="exists and is not a foretell model"):
        small_model.save(tmp_path)
    assert "another program" in (tmp_path / "model.json").read_text()


def test_the_working_directory_is_refused(small_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError, match="is the working directory"):
        small_model.save(".")


def test_only_the_user_reads_a_model_and_no_mode_is_widened(small_model, tmp_path):
    place = small_model.save(tmp_path / "model")
    assert place.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in place.iterdir()} == {0o600}
    place.chmod(0o500 | 0o200)
    small_model.save(place)
    assert place.stat().st_mode & 0o777 == 0o700


def test_a_link_to_a_model_stays_a_link(small_model, target, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(target)
    small_model.save(link)
    assert link.is_symlink()
    assert ft.load(link).log_.n_customers == small_model.log_.n_customers


@pytest.mark.parametrize("moment", range(1, 6))
def test_a_save_that_ends_at_any_moment_leaves_the_old_model_or_the_new_one(
    small_model, target, monkeypatch, moment
):
    """What ends it, as a kill does, runs none of our handlers of errors."""

    class Killed(BaseException):
        pass

    done, replace = [0], Path.replace

    def killed(self, new):
        done[0] += 1
        if done[0] == moment:
            raise Killed
        return replace(self, new)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with contextlib.suppress(Killed):
            small_model.save(target)
    assert ft.load(target).predict(horizons=[]).equals(small_model.predict(horizons=[]))
    small_model.save(target)
    assert len(list(target.iterdir())) == len(json.loads((target / "model.json").read_text())["files"]) + 1


def test_weights_that_are_not_finite_are_refused(small_model, target):
    with np.load(target / "arrays.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    np.savez(target / "arrays.npz", **arrays | {"member0.0": np.full_like(arrays["member0.0"], np.nan)})
    seal(target)
    with pytest.raises(StorageError, match="that are not finite"):
        ft.load(target)


def test_damaged_bytes_are_one_kind_of_error(saved, tmp_path):
    """Bytes are changed, cut off and repeated at random in every file; load says one thing, or the model."""
    rng = np.random.default_rng(0)
    files = sorted(file.name for file in saved.iterdir())
    for k in range(60):
        place = shutil.copytree(saved, tmp_path / str(k))
        file = place / files[k % len(files)]
        content = bytearray(file.read_bytes())
        where = int(rng.integers(len(content)))
        if k % 3 == 0:
            content[where] ^= 1 << int(rng.integers(8))
        elif k % 3 == 1:
            del content[where:]
        else:
            content[where:where] = content[: int(rng.integers(1, 50))]
        file.write_bytes(content)
        with contextlib.suppress(StorageError):
            ft.load(place)


@pytest.mark.parametrize("call", ["numpy.savez", "pyarrow.parquet.write_table", "json.dumps"])
def test_a_crash_while_saving_leaves_the_old_model(small_model, target, monkeypatch, call):
    before = {file.name: file.read_bytes() for file in target.iterdir()}

    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(call, full_disk)
    with pytest.raises(StorageError, match=r"cannot write the model to .*model: No space left on device"):
        small_model.save(target)
    monkeypatch.undo()
    assert {file.name: file.read_bytes() for file in target.iterdir()} == before
    assert [p.name for p in target.parent.iterdir()] == ["model"]


def test_where_the_new_model_cannot_be_put_in_place_the_old_one_comes_back(small_model, target, monkeypatch):
    before = {file.name: file.read_bytes() for file in target.iterdir()}
    replace = Path.replace

    def refuse_the_new_one(self, new):
        if self.name == "model.json":
            raise OSError(13, "Permission denied")
        return replace(self, new)

    monkeypatch.setattr(Path, "replace", refuse_the_new_one)
    with pytest.raises(StorageError, match="Permission denied"):
        small_model.save(target)
    monkeypatch.undo()
    assert {file.name: file.read_bytes() for file in target.iterdir()} == before


@pytest.mark.parametrize("what", ["directory", "file"])
def test_what_is_not_a_model_is_not_overwritten(small_model, tmp_path, what):
    place = tmp_path / "precious"
    if what == "directory":
        place.mkdir()
    precious = place / "thesis.txt" if what == "directory" else place
    precious.write_text("ten years of work")
    with pytest.raises(StorageError, match="exists and is not a foretell model; choose another directory"):
        small_model.save(place)
    assert precious.read_text() == "ten years of work"


def test_an_empty_directory_is_taken(small_model, tmp_path):
    (tmp_path / "empty").mkdir()
    assert ft.load(small_model.save(tmp_path / "empty")).log_.n_customers == small_model.log_.n_customers


def test_a_model_that_is_not_fitted_cannot_be_saved(tmp_path):
    with pytest.raises(NotFittedError):
        ft.EventForecaster().save(tmp_path / "nothing")
    assert list(tmp_path.iterdir()) == []


def test_where_no_model_is_the_error_says_what_was_looked_for(tmp_path):
    with pytest.raises(StorageError, match=r"no model in .*: model\.json is not there"):
        ft.load(tmp_path)


def test_a_newer_format_is_refused_with_the_version_that_wrote_it(target):
    described = json.loads((target / "model.json").read_text(encoding="utf-8"))
    described |= {"format": described["format"] + 1, "version": "9.9"}
    (target / "model.json").write_text(json.dumps(described), encoding="utf-8")
    with pytest.raises(StorageError, match=r"written by foretell 9\.9, in a newer format .* upgrade"):
        ft.load(target)


def cut_in_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def garbage(path):
    path.write_bytes(b"\x00garbage" * 50)


FILES = ["model.json", "arrays.npz", "data-customers.parquet", "data-groups.parquet"]
HARMS = [(name, harm) for name in FILES for harm in (cut_in_half, empty, garbage, Path.unlink)]


@pytest.mark.parametrize(("name", "harm"), HARMS)
def test_a_damaged_file_is_a_storage_error(target, name, harm):
    harm(target / name)
    with pytest.raises(StorageError, match=r"damaged|is not there"):
        ft.load(target)


@pytest.mark.parametrize(
    "text",
    ["{}", '{"format": 1}', "[]", '{"format": "one"}', "null"],
)
def test_a_description_of_something_else_is_a_storage_error(target, text):
    (target / "model.json").write_text(text)
    with pytest.raises(StorageError, match="damaged"):
        ft.load(target)


def test_a_flipped_bit_in_the_arrays_is_noticed(target):
    with zipfile.ZipFile(target / "arrays.npz") as arrays:
        entry = arrays.getinfo("member0.0.npy")
    content = bytearray((target / "arrays.npz").read_bytes())
    content[entry.header_offset + 300] ^= 1
    (target / "arrays.npz").write_bytes(bytes(content))
    for _ in range(2):
        with pytest.raises(StorageError, match="damaged"):
            ft.load(target)
        seal(target)  # and by the sums of the arrays themselves


class Trap:
    def __reduce__(self):
        return print, ("sprung",)


def test_pickled_arrays_are_refused_and_nothing_in_them_runs(target, capsys):
    with np.load(target / "arrays.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    arrays["new_marks"] = np.array([Trap()], dtype=object)
    np.savez(target / "arrays.npz", **arrays)
    seal(target)
    assert pickle.PROTO in (target / "arrays.npz").read_bytes()
    with pytest.raises(StorageError, match="damaged"):
        ft.load(target)
    assert "sprung" not in capsys.readouterr().out


def test_a_model_saved_by_version_one_says_what_it_said_then():
    """Answers and states of 2026, within what another processor's rounding may change."""
    expected = pl.read_parquet(FIXTURE / "predictions.parquet")
    table = ft.load(FIXTURE / "model").predict(horizons=[])
    assert table.columns == expected.columns
    for name in table.columns:
        if table[name].dtype == pl.Float64:
            np.testing.assert_allclose(table[name], expected[name], rtol=1e-3, atol=1e-6, err_msg=name)
        elif "next_event" in name:
            apart = (table[name] - expected[name]).dt.total_days().abs()
            assert apart.max() <= 1
        else:
            assert table[name].equals(expected[name])


def test_a_saved_model_needs_no_more_than_its_directory(saved, small_model, tmp_path):
    """A fresh interpreter, elsewhere, says the same."""
    program = (
        "import sys, foretell as ft; ft.load(sys.argv[1]).predict(horizons=[]).write_parquet(sys.argv[2])"
    )
    out = tmp_path / "answers.parquet"
    subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(saved), str(out)], cwd=tmp_path, check=True
    )
    assert pl.read_parquet(out).equals(small_model.predict(horizons=[]))


@pytest.fixture(scope="module")
def keras_saved(small_model, tmp_path_factory):
    return small_model.save_keras(tmp_path_factory.mktemp("keras") / "shop")


def test_what_is_saved_as_keras_does_answers_the_same_to_the_last_bit(small_model, keras_saved, monkeypatch):
    """Architecture in JSON, weights in HDF5, which are there for others: `load` does not read them."""
    names = [file.name for file in keras_saved.iterdir()]
    assert {"architecture.json", "member0.weights.h5", "member1.weights.h5"} <= set(names)
    monkeypatch.setattr("foretell.nn.state.read_member", None)
    loaded = ft.load(keras_saved)
    assert loaded.predict(HORIZONS).equals(small_model.predict(HORIZONS))
    for one, other in zip(loaded.model_.members, small_model.model_.members, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_members_come_back_as_keras_models_that_say_what_the_network_says(small_model, keras_saved):
    members = load_keras(keras_saved)
    fitted = small_model.model_
    rng = np.random.default_rng(0)
    inputs = [rng.uniform(0, 9, (2, 3, part.shape[-1])).astype(np.float32) for part in members[0].inputs]
    for member, weights in zip(members, fitted.members, strict=True):
        network = fitted.network.network
        states = network.sequence(weights, inputs[0]).reshape(6, -1)
        rows = [part.reshape(6, -1) for part in inputs]
        expected = np.asarray(network.output(weights, states, *rows)).reshape(2, 3, -1)
        np.testing.assert_allclose(member(inputs), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["architecture.json", "member1.weights.h5"])
def test_a_damaged_keras_file_is_a_storage_error(keras_saved, tmp_path, name):
    place = tmp_path / "model"
    place.mkdir()
    for file in keras_saved.iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    cut_in_half(place / name)
    for reader in (ft.load, load_keras):
        with pytest.raises(StorageError, match="damaged"):
            reader(place)


def test_where_no_keras_files_are_the_error_says_which_call_writes_them(saved):
    with pytest.raises(StorageError, match=r"no Keras files .* expected architecture\.json .* save_keras"):
        load_keras(saved)


def test_the_summary_names_the_layers_and_counts_the_weights(small_model):
    shown = small_model.summary()
    assert "recurrent_0 (RNN)" in shown
    assert f"Total params: {sum(w.size for w in small_model.model_.members[0]):,}" in shown
    with pytest.raises(NotFittedError):
        ft.EventForecaster().summary()


@pytest.fixture(scope="module")
def bare(small_model, tmp_path_factory):
    return small_model.save(tmp_path_factory.mktemp("bare") / "shop", data=False)


class TestWithoutData:
    """A model that is handed on holds nobody's visits."""

    def test_no_file_holds_a_customer(self, small_model, bare):
        assert sorted(file.name for file in bare.iterdir()) == ["arrays.npz", "model.json"]
        content = b"".join(file.read_bytes() for file in bare.iterdir())
        content = re.sub(rb'"[0-9a-f]{64}"', b"", content)  # a digest may hold c110 by chance
        assert not any(key.encode() in content for key in small_model.log_.ids)

    def test_given_its_log_again_it_says_the_same(self, small_model, bare):
        loaded = ft.load(bare, data=small_model.log_)
        assert loaded.predict(HORIZONS).equals(small_model.predict(HORIZONS))

    def test_it_answers_about_another_log(self, small_model, bare):
        some = small_model.log_.take(range(5))
        assert ft.load(bare, data=some).predict([]).height == 5

    def test_asked_without_a_log_it_says_what_is_missing(self, bare):
        loaded = ft.load(bare)
        for ask in (loaded.predict, loaded.simulate, loaded.predict_groups, lambda: loaded.log_):
            with pytest.raises(NotFittedError, match=r"without its data; .*foretell\.load\(path, data=…\)"):
                ask()

    def test_it_can_be_saved_again(self, bare, small_model, tmp_path):
        again = ft.load(bare).save(tmp_path / "again")
        assert ft.load(again, data=small_model.log_).predict([]).equals(small_model.predict([]))

    def test_a_log_that_was_read_in_another_way_is_refused(self, bare, small):
        other = ft.read_events(small.events(), marks=["amount"], as_of="2023-12-31", merge=None)
        with pytest.raises(ParameterError, match=r"merge=None, not 'day'; groups=False, not True"):
            ft.load(bare, data=other)

    def test_a_panel_is_given_again(self, tmp_path):
        panel = ft.Panel.from_arrays([np.sin(2 * np.pi * np.arange(120) / 12)], freq="1mo")
        small, training = ft.NetworkConfig(layers=0, dense=4), ft.TrainConfig(epochs=1, max_steps=2)
        for model in (
            ft.SeriesForecaster(3, ensemble=1, model="network", network=small, training=training).fit(panel),
            baselines.SeasonalNaive(horizon=3).fit(panel),
        ):
            place = model.save(tmp_path / model.name, data=False)
            with pytest.raises(NotFittedError):
                ft.load(place).predict()
            assert ft.load(place, data=panel).predict().equals(model.predict())
            with pytest.raises(ParameterError, match="freq='1d', not '1mo'"):
                ft.load(place, data=ft.Panel.from_arrays([np.arange(9.0)], freq="1d"))

    def test_statistics_keep_what_they_have_learned(self, small_model, tmp_path):
        log = small_model.log_
        for model in (baselines.BGNBD(), baselines.MeanGap(), baselines.RepeatRate()):
            place = model.fit(log).save(tmp_path / "statistic", data=False)
            with pytest.raises(NotFittedError):
                ft.load(place).predict()
            some = log.take(range(20))
            expected = model.predict(HORIZONS, ids=some.ids.to_list())
            assert ft.load(place, data=some).predict(HORIZONS).equals(expected)


def test_a_network_that_was_not_chosen_stays_so_and_goes_on(small, small_log, tmp_path):
    """So a warm start from what was loaded agrees on its settings."""
    training = ft.TrainConfig(epochs=1, max_steps=2)
    log = small_log.take(range(20))
    for network in (None, ft.NetworkConfig(layers=0, dense=4)):
        model = ft.EventForecaster(model="network", ensemble=1, network=network, training=training)
        loaded = ft.load(model.fit(log).save(tmp_path / "model"))
        assert loaded.network == network
        model.fit(log, warm_start=loaded)


def test_numbers_without_end_are_json_that_others_can_read(tmp_path):
    """Nobody came twice: the rule's usual gap is infinite."""
    frame = pl.DataFrame({"unique_id": [1, 2], "ds": ["2024-01-01", "2024-01-05"]})
    model = baselines.MeanGap().fit(ft.read_events(frame))
    place = model.save(tmp_path / "model")
    assert ft.load(place).params_ == model.params_
    state = State({"losses": [np.inf, -np.inf, np.nan, np.float64(0.5)], "seed": np.int64(3)})
    place = write(state, tmp_path / "losses", kind="events", forecaster="nobody")
    json.loads((place / "model.json").read_text(), parse_constant=pytest.fail)
    back = read(place).state.described
    assert str(back) == "{'losses': [inf, -inf, nan, 0.5], 'seed': 3}"


class TestStates:
    """Where customers stand has to fit who they are."""

    def test_a_customer_whose_state_is_not_his_is_refused(self, target):
        file = target / "data-customers.parquet"
        customers = pl.read_parquet(file)
        customers.with_columns(pl.col("count").reverse()).write_parquet(file)
        seal(target)
        with pytest.raises(StorageError, match="are not those of their visits"):
            ft.load(target)

    @pytest.mark.parametrize("name", ["packed", "memory-0", "mean_marks"])
    def test_states_that_are_not_finite_or_missing_are_refused(self, target, name):
        file = target / "data-customers.parquet"
        customers = pl.read_parquet(file)
        for changed in (customers.drop(name), customers.with_columns(pl.col(name) * np.nan)):
            changed.write_parquet(file)
            seal(target)
            with pytest.raises(StorageError, match="damaged"):
                ft.load(target)


def test_what_is_not_as_it_was_saved_is_refused(saved, target):
    """Every file, and the manifest itself."""
    for name in [file.name for file in saved.iterdir()]:
        content = (target / name).read_bytes()
        changed = content.replace(b"day", b"dax") if name == "model.json" else content[:-1] + b"?"
        (target / name).write_bytes(changed)
        with pytest.raises(StorageError, match="is not as it was saved"):
            ft.load(target)
        (target / name).write_bytes(content)
    ft.load(target)


def test_too_deep_and_too_many_is_refused(target):
    path = target / "model.json"
    described = json.loads(path.read_text())
    deep = json.loads("[" * 200 + "]" * 200)
    many = {f"a{k}.npz": {"name": f"a{k}.npz", "size": 0, "sha256": ""} for k in range(20_000)}
    for changed, message in (({"state": deep}, "does not describe"), ({"files": many}, "no model's")):
        path.write_text(json.dumps(described | changed))
        seal(target)
        with pytest.raises(StorageError, match=message):
            ft.load(target)


def test_a_table_that_says_more_than_its_bytes_hold_is_not_read(target):
    """Packed, a million equal rows take no room on the disk."""
    pl.DataFrame({"group": pl.repeat(0, 10_000_000, eager=True)}).write_parquet(
        target / "data-groups.parquet"
    )
    seal(target)
    with pytest.raises(StorageError, match="10,000,000 values, which its bytes do not"):
        ft.load(target)


def test_a_model_of_a_class_that_is_not_known_says_so(tmp_path):
    place = write(State({}), tmp_path / "model", kind="events", forecaster="their-own")
    with pytest.raises(StorageError, match="of the class 'their-own', which is not known; import"):
        ft.load(place)


def test_a_class_of_the_users_own_is_known_by_its_name(small_model, tmp_path):
    class Mine(baselines.MeanGap):
        saved_as = "mine"

    place = Mine().fit(small_model.log_).save(tmp_path / "model")
    assert type(ft.load(place)) is Mine


def test_a_model_that_is_replaced_while_it_is_read_is_the_new_one(small_model, target, monkeypatch):
    small_model.save(target)
    read_old = [read_manifest(target)]
    small_model.save(target)
    monkeypatch.setattr(
        "foretell.storage.directory.read_manifest",
        lambda place: read_old.pop() if read_old else read_manifest(place),
    )
    assert ft.load(target).log_.n_customers == small_model.log_.n_customers


@pytest.mark.parametrize("moment", range(1, 10))
def test_what_a_killed_save_left_goes_with_the_next(small_model, target, monkeypatch, moment):
    """Whatever it had written by then is listed."""

    class Killed(BaseException):
        pass

    steps, replace, unlink = iter(range(1, 100)), Path.replace, Path.unlink

    def killed(step):
        def taken(*args, **options):
            if next(steps) == moment:
                raise Killed
            return step(*args, **options)

        return taken

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed(replace))
        patch.setattr(Path, "unlink", killed(unlink))
        with contextlib.suppress(Killed):
            small_model.save(target)
    ft.load(target)
    small_model.save(target)
    files = json.loads((target / "model.json").read_text())["files"]
    assert {file.name for file in target.iterdir()} == {
        "model.json",
        *(file["name"] for file in files.values()),
    }


def test_a_forked_process_saves(small_model, tmp_path):
    """It has none of the threads of its parent."""
    program = (
        "import os, sys, foretell as ft\n"
        "model = ft.load(sys.argv[1])\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    model.save(sys.argv[2]); os._exit(0)\n"
        "os.waitpid(child, 0)"
    )
    place = small_model.save(tmp_path / "model")
    words = [sys.executable, "-c", program, str(place), str(tmp_path / "copy")]
    subprocess.run(words, check=True, timeout=120, capture_output=True)
    assert ft.load(tmp_path / "copy").predict([]).equals(small_model.predict([]))


MEASURED = """
import resource, sys
from pathlib import Path
from foretell.storage.directory import read
import polars as pl, pyarrow.parquet

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

before = peak()
state = read(sys.argv[1])
print((peak() - before) / sum(file.stat().st_size for file in Path(sys.argv[1]).iterdir()))
"""


def test_reading_takes_less_than_twice_the_room_of_the_model(tmp_path):
    rows = np.arange(2_000_000)
    visits = pl.DataFrame({"times": ragged_column(rows, np.arange(0, len(rows) + 1, 10))})
    state = State({}, {"weights": rows.astype(np.float32)}, {"customers": visits})
    place = write(state, tmp_path / "model", kind="events", forecaster="nobody")
    words = [sys.executable, "-c", MEASURED, str(place)]
    assert float(subprocess.run(words, check=True, capture_output=True, text=True).stdout) < 2.0
