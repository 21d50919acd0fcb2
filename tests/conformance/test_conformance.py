"""The daemon against the data sets of this folder, as CoreDNS's cases and the specification's examples have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.dataset import DataSet, find
from tests.conformance.run import play

STORIES = find(Path(__file__).with_name("data"))


@pytest.mark.parametrize("exact", [False, True], ids=["mended", "coredns"])
@pytest.mark.parametrize("story", STORIES, ids=[story[0].name for story in STORIES])
def test_every_question_is_answered_right(story: list[DataSet], exact: bool) -> None:
    results = play(story, exact)
    assert [failure for _, failures, _ in results for failure in failures] == []
    assert all(total for _, _, total in results)


def test_steps_of_one_story_run_on_one_daemon() -> None:
    assert [dataset.name for dataset in next(s for s in STORIES if len(s) > 1)] == [
        "k8s-updates-1",
        "k8s-updates-2",
        "k8s-updates-3",
    ]


def test_a_wrong_answer_is_seen() -> None:
    """The judge itself: a data set that expects what is not so fails, question by question."""
    (truth,) = next(story for story in STORIES if story[0].name == "coredns-ttl-56")
    case = truth.cases[0]
    lies = [
        case | {"rcode": "NXDOMAIN"},
        case | {"aa": False},
        case | {"tc": True, "transport": "udp"},
        case | {"answer": []},
        case | {"answer": [record | {"ttl": 57} for record in case["answer"]]},
        case | {"answer": [record | {"rdata": "192.0.2.1"} for record in case["answer"]]},
        case | {"answer_min": 2},
        case | {"ad_bit": True},
    ]
    wrong = DataSet("lies", truth.manifests, truth.options, [], [lie | {"id": str(n)} for n, lie in enumerate(lies)])
    ((_, failures, total),) = play([wrong], exact=False)
    assert len(failures) == total == 2 * len(lies) - 1


def test_an_option_that_can_not_be_carried_fails_the_set() -> None:
    (truth,) = next(story for story in STORIES if story[0].name == "coredns-ttl-56")
    ((_, failures, _),) = play([DataSet("odd", truth.manifests, {"zonal": True}, [], truth.cases)], exact=False)
    assert "zonal" in failures[0]
