import pytest

from modelyard.tracking import ResolvedModel, Tracking
from modelyard.tracking.evaluations import Evaluations
from modelyard.tracking.tags import EVALUATED_MODEL


@pytest.mark.parametrize("name", ["delays", "it's", 'a "b"'])
def test_the_newest_evaluation_of_a_model_is_found_whatever_its_name(tracking: Tracking, name: str) -> None:
    uri = f"models:/{name}/1"
    for tag in (uri, uri, "models:/other/1"):
        with tracking.start_run("evaluate", tags={EVALUATED_MODEL: tag}) as run:
            run.log_metrics({"roc_auc": 0.8})
        if tag == uri:
            newest = run.run_id

    found = Evaluations(tracking).newest(ResolvedModel(reference=uri, uri=uri, location=""))

    assert found is not None
    assert (found.run_id, found.model, found.metrics) == (newest, uri, {"roc_auc": 0.8})
