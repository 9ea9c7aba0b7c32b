"""Promotion with the consent of people: the task shows what is to be decided, and waits for their answer."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Unpack, cast

from airflow.providers.standard.exceptions import HITLTimeoutError
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context, Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskAwaitingInput

from modelyard.operations import ParameterInvalid
from modelyard.operators.airflow.arguments import OperationArguments
from modelyard.operators.airflow.errors import PromotionRejected
from modelyard.operators.airflow.masking import Mask
from modelyard.operators.airflow.operation import Templated
from modelyard.operators.airflow.outputs import publish
from modelyard.operators.airflow.place import Place
from modelyard.operators.airflow.promote import PromoteOperator
from modelyard.operators.airflow.values import check_texts
from modelyard.operators.airflow.work import Work

if TYPE_CHECKING:
    from airflow.sdk.bases.notifier import BaseNotifier
    from airflow.sdk.execution_time.hitl import HITLUser

__all__ = ["ApprovedPromoteOperator"]

APPROVE = "Approve"
REJECT = "Reject"
REASON = "reason"
_KEPT = "modelyard_approval"
"""Where Airflow's task state holds an approval that is not carried out yet: it outlives the try, as XCom does not."""


class ApprovedPromoteOperator(HITLOperator, PromoteOperator):  # pyright: ignore[reportIncompatibleVariableOverride]
    """Point an alias to a version of a registered model, if all gates hold and people approve.

    First all is checked that ``promote`` checks; what its gates refuse nobody is asked about. Then the task waits,
    without a worker and without the triggerer, for an answer in Airflow's page *Required Actions* or through its REST
    API. They see the champion's metrics beside the challenger's, the gates, and where the report with the plots is.

    *Approve* moves the alias, by the operation ``promote``, to exactly the version that was shown, judged by exactly
    the evaluation that was shown; if another version has become champion meanwhile, the task fails and nothing moves.
    *Reject* writes who, when and why into the version's tag ``modelyard.rejection.<alias>``; the task is then skipped,
    and so are those after it, and none of its outlets is updated.

    A version that has the alias already needs no approval. An approval outlives a try: if the tracking server does not
    answer, the next try carries it out and asks nobody again.

    Its result is that of promote, and:

    - ``approved``: Whether it was approved. After a rejection ``model`` is what the alias still points to.
    - ``by``: Who answered; empty where nobody was asked, or nobody answered in time.
    - ``reason``: What they gave as the reason.

    Parameters
    ----------
    model, evaluation, gates, alias
        As for ``promote``. Without gates the newest evaluation of the version is shown, if there is one.
    subject
        The question's headline; by default ``Promote models:/delays/4 to champion?``
    body
        What else people should know, as Markdown: it is put before the metrics.
    assigned_users
        Who may answer; by default whoever may answer for the DAG.
    notifiers
        Notifiers that tell people of the question.
    response_timeout
        How long to wait for an answer. Then `defaults` counts; without it the task fails.
    defaults
        ``Approve`` or ``Reject``: the answer that counts after `response_timeout`.
    fail_on_reject
        Let a rejection fail the task, rather than skip it and those after it.
    **kwargs
        conn_id, project, environment, key, launcher, python and whatever every Airflow operator takes: see
        `OperationOperator`. The task never defers.
    """

    result_fields: ClassVar[tuple[str, ...]] = (*PromoteOperator.result_fields, "approved", "by", "reason")
    template_fields: Collection[str] = (*PromoteOperator.template_fields, "subject", "body")

    def __init__(
        self,
        *,
        model: Templated[str],
        evaluation: Templated[str] = "",
        gates: Templated[Sequence[Templated[str]]] = (),
        alias: Templated[str] = "champion",
        subject: str = "",
        body: str = "",
        assigned_users: "HITLUser | list[HITLUser] | None" = None,
        notifiers: "Sequence[BaseNotifier] | BaseNotifier | None" = None,
        response_timeout: timedelta | None = None,
        defaults: str | None = None,
        fail_on_reject: bool = False,
        **kwargs: Unpack[OperationArguments],
    ) -> None:
        if defaults not in (None, APPROVE, REJECT):
            raise ParameterInvalid("defaults", f"{APPROVE} or {REJECT}", defaults)
        if not isinstance(response_timeout, timedelta | None):
            raise ParameterInvalid("response_timeout", "a timedelta, or nothing", response_timeout)
        kwargs["deferrable"] = False
        super().__init__(
            subject=subject,
            body=body,
            options=[APPROVE, REJECT],
            defaults=defaults,
            params=_with_reason(kwargs.pop("params", None)),
            assigned_users=assigned_users,
            notifiers=notifiers,
            response_timeout=response_timeout,
            model=model,
            evaluation=evaluation,
            gates=gates,
            alias=alias,
            **cast("Any", kwargs),
        )
        self.fail_on_reject = fail_on_reject
        check_texts(self, "subject", "body")

    def execute(  # pyright: ignore[reportIncompatibleMethodOverride] - Airflow's own says that it returns nothing
        self, context: Context
    ) -> dict[str, Any]:
        """Check the promotion, then ask and wait; or do what was approved in an earlier try.

        Raises
        ------
        TaskAwaitingInput
            People are asked.
        AirflowFailException, AirflowException
            The promotion cannot be made.
        """
        kept = _store(context).get(_KEPT)
        if kept:
            self.log.info("%s was approved in an earlier try.", kept["review"]["model"])
            return self._promote(context, kept["review"], kept["answer"])
        self._work = work = Work(inline=self.launcher == "inline")
        review = self._at_place(context, work, lambda place: self._reviewed(context, place, work))
        if review["current"] == review["model"]:
            return self._promote(context, review, {"by": "", "reason": ""})
        return self._ask(context, review)

    def _reviewed(self, context: Context, place: Place, work: Work) -> dict[str, Any]:
        return self._called(context, place, work, "review", self._parameters(place))

    def _ask(self, context: Context, review: dict[str, Any]) -> NoReturn:
        from modelyard.airflow.approval_page import approval_page

        self.subject = self.subject or f"Promote {review['model']} to {review['alias']}?"
        self.body = approval_page(review, self.body or "")
        try:
            HITLOperator.execute(self, context)
        except TaskAwaitingInput as waits:
            told = {each: review[each] for each in ("model", "alias", "current", "evaluation")}
            raise TaskAwaitingInput(
                method_name="execute_complete", kwargs={"review": told}, timeout=waits.timeout
            ) from None
        raise AssertionError("to ask is to wait")

    def execute_complete(
        self, context: Context, event: dict[str, Any], review: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Do what people answered.

        Parameters
        ----------
        context
            Airflow's context of the task.
        event
            Their answer.
        review
            What they were asked about.

        Raises
        ------
        AirflowSkipException, AirflowFailException
            They rejected it, or the promotion cannot be made any more.
        AirflowException
            It cannot be made at present.
        """
        facts = dict(review or {})
        try:
            said = HITLOperator.execute_complete(self, context, event)
        except HITLTimeoutError:
            raise AirflowFailException(f"nobody has answered within {self.response_timeout}") from None
        user = said["responded_by_user"] or {}
        answer = {"by": user.get("name") or user.get("id") or "", "reason": said["params_input"].get(REASON) or ""}
        if event.get("timedout"):
            answer["reason"] = answer["reason"] or f"nobody answered within {self.response_timeout}"
        if said["chosen_options"] == [APPROVE]:
            _store(context).set(_KEPT, {"review": facts, "answer": answer})
            return self._promote(context, facts, answer)
        return self._reject(context, facts, answer)

    def _promote(self, context: Context, review: Mapping[str, Any], answer: Mapping[str, str]) -> dict[str, Any]:
        self._work = work = Work(inline=self.launcher == "inline")
        self.model, self.evaluation = review["model"], review["evaluation"]

        def act(place: Place) -> dict[str, Any]:
            with _author(answer["by"]):
                done = self._dispatched(context, place, work, self.operation_name, self._parameters(place))
            result = {**done.result, "approved": True, **answer}
            return self._published(context, place, done._replace(result=result))

        try:
            result = self._at_place(context, work, act)
        except AirflowFailException:
            # Whoever clears the task wants to be asked anew.
            _store(context).delete(_KEPT)
            raise
        _store(context).delete(_KEPT)
        return result

    def _reject(self, context: Context, review: Mapping[str, Any], answer: Mapping[str, str]) -> NoReturn:
        self._work = work = Work(inline=self.launcher == "inline")
        parameters = {name: review[name] for name in ("model", "alias", "evaluation")}

        def act(place: Place) -> dict[str, Any]:
            rejection = self._called(context, place, work, "reject", {**parameters, **answer})
            stays = rejection["current"] or None
            told = place.mask.hide({"model": stays, "alias": review["alias"], "approved": False, **answer})
            publish(cast("Mapping[str, Any]", context)["ti"], told, told)
            return rejection

        self._at_place(context, work, act)
        error = PromotionRejected(review["model"], **answer)
        if self.fail_on_reject:
            raise self.failure(context, error, Mask(), killed=False)
        raise AirflowSkipException(str(error))

    def _called(
        self, context: Context, place: Place, work: Work, function: str, parameters: Mapping[str, Any]
    ) -> dict[str, Any]:
        from modelyard.projects.dispatch import acknowledge

        asked = {"function": f"modelyard.training.review:{function}", "parameters": dict(parameters)}
        done = self._dispatched(context, place, work, "call", asked, f"/{function}")
        acknowledge(done)
        found: dict[str, Any] = done.result["value"]
        return found


def _with_reason(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the params of a task, and of its DAG as Airflow adds them, with the one that the question asks for."""
    all_ = given or {}
    known = {name: all_.get_param(name) if isinstance(all_, ParamsDict) else all_[name] for name in all_}
    about = "Why, for those who read it later."
    return {**known, REASON: Param("", type="string", description=about, source="task")}


@contextmanager
def _author(name: str) -> Iterator[None]:
    """Let the promotion say who approved it."""
    before = os.environ.get("MODELYARD_USER")
    if name:
        os.environ["MODELYARD_USER"] = name
    try:
        yield
    finally:
        if before is not None:
            os.environ["MODELYARD_USER"] = before
        else:
            os.environ.pop("MODELYARD_USER", None)


def _store(context: Context) -> Any:
    return cast("Mapping[str, Any]", context)["task_state_store"]
