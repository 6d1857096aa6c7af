"""scikit-learn's own checks: which of them forecasters pass, and which they cannot pass, and why."""

from __future__ import annotations

import warnings

import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted
from tests.contract.cases import CASES, fitted, make

import foretell as ft
from foretell.core.estimator import Estimator

PASSED = {
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
}
NO_ARRAY = "learns from a log or a panel, not from an array: who came when, not rows of features"
NO_Y = "a log or a panel holds what is to be forecast: fit takes no y"
OWN_ERROR = "raises foretell's NotFittedError, so that all errors of the package have one base"
# What takes an array as its input is given one; each name with the reason why it fails.
CANNOT = dict.fromkeys(
    (
        "check_complex_data",
        "check_dict_unchanged",
        "check_dont_overwrite_parameters",
        "check_dtype_object",
        "check_estimator_sparse_array",
        "check_estimator_sparse_matrix",
        "check_estimator_sparse_tag",
        "check_estimators_dtypes",
        "check_estimators_empty_data_messages",
        "check_estimators_fit_returns_self",
        "check_estimators_overwrite_params",
        "check_estimators_pickle",
        "check_f_contiguous_array_estimator",
        "check_fit1d",
        "check_fit2d_1feature",
        "check_fit2d_1sample",
        "check_fit2d_predict1d",
        "check_fit_check_is_fitted",
        "check_fit_idempotent",
        "check_methods_sample_order_invariance",
        "check_methods_subset_invariance",
        "check_n_features_in",
        "check_n_features_in_after_fitting",
        "check_positive_only_tag_during_fit",
        "check_readonly_memmap_input",
    ),
    NO_ARRAY,
) | {
    "check_fit_score_takes_y": NO_Y,
    "check_pipeline_consistency": NO_Y,
    "check_estimators_unfitted": OWN_ERROR,
}
CLASSES = {type(make(case)): case for case in reversed(CASES)}
every_class = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)


@pytest.fixture
def all_checks(monkeypatch):
    """Have scikit-learn run all checks, also those that it leaves out for who takes no arrays."""
    tags = Estimator.__sklearn_tags__

    def as_if_of_arrays(self):
        given = tags(self)
        given.input_tags.two_d_array = True
        return given

    monkeypatch.setattr(Estimator, "__sklearn_tags__", as_if_of_arrays)


@every_class
class TestEveryForecaster:
    def test_checks_pass_or_are_listed_with_the_reason(self, kind, all_checks):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn's own: a base class of its own is advised
            checks = check_estimator(make(CLASSES[kind]), on_skip=None, on_fail=None)
        done = {check["check_name"]: check["status"] for check in checks}
        assert {name for name, status in done.items() if status == "passed"} == PASSED & set(done)
        assert {name for name, status in done.items() if status == "failed"} == set(CANNOT) & set(done)
        assert set(done) - PASSED - set(CANNOT) == {"check_array_api_input"}  # skipped: not switched on

    def test_scikit_learn_knows_whether_it_is_fitted(self, kind):
        case = CLASSES[kind]
        check_is_fitted(fitted(case))
        with pytest.raises(NotFittedError):
            check_is_fitted(make(case))
        with pytest.raises(NotFittedError):
            check_is_fitted(clone(fitted(case)))

    def test_a_clone_has_the_same_parameters(self, kind):
        model = make(CLASSES[kind])
        assert repr(clone(model)) == repr(model)

    def test_a_pipeline_shows_it_in_a_notebook(self, kind):
        pipeline = Pipeline([("model", fitted(CLASSES[kind]))])
        assert kind.__name__ in pipeline._repr_html_()


def test_nested_parameters_are_set_through_a_pipeline():
    pipeline = Pipeline([("model", ft.EventForecaster())])
    pipeline.set_params(model__training__epochs=3, model__network__units=5, model__seed=2)
    model = pipeline.named_steps["model"]
    assert (model.training.epochs, model.network.units, model.seed) == (3, 5, 2)


def test_no_reason_is_left_over():
    assert not PASSED & set(CANNOT)
    assert all(reason for reason in CANNOT.values())
