"""Which requests come from a page of the dashboard itself."""

import pytest

from hpo.web.guard import comes_from

HERE = "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("headers", "is_from_here"),
    [
        ({"Origin": HERE}, True),
        ({"Origin": HERE, "Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "http://127.0.0.1:9999"}, False),
        ({"Origin": "https://127.0.0.1:8080"}, False),
        ({"Origin": HERE, "Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
    ],
)
def test_only_this_origin_is_from_here(headers: dict[str, str], is_from_here: bool) -> None:
    assert comes_from(headers, HERE) is is_from_here
