"""That the published file, opened as it was known at a moment, is the file that was published then.

Belongs here: truth 7 for whole marts. Does not belong here: the macros that take `known_at` (`test_clocks`).
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given

from pipelines.errors import CatalogueError, UsageError
from pipelines.ledger.published import Published
from pipelines.ledger.schema import marts
from tests.property.small import History, histories, load, warehouse_of
from tests.property.test_order import examples

VIEWS = [mart.name for mart in marts() if mart.parameters is None]


def told(published: Published) -> dict[str, list[str]]:
    return {name: sorted(map(str, published.ask(f"SELECT * FROM marts.{name}").rows)) for name in VIEWS}


@examples(8)
@given(history=histories)
def test_a_file_as_it_was_known_tells_what_it_told_then(history: History) -> None:
    """Truth 7: every mart, and when each thing was learnt.

    Seen red with later ends of knowledge not forgotten, and with captures that were learnt later left in.
    """
    batches = history.batches()
    known = history.chance.randint(1, len(batches))
    with warehouse_of(batches[:known]) as ledger:
        ledger.publish()
        with Published(ledger.warehouse) as then:
            known_at, expected = then.known_at, told(then)
        for batch in batches[known:]:
            load(ledger, batch)
        ledger.publish()
        with Published(ledger.warehouse, known_at) as hindsight:
            assert hindsight.known_at == known_at
            assert told(hindsight) == expected
        with Published(ledger.warehouse) as now:
            latest = now.known_at
        with pytest.raises(UsageError, match="is later than all that this warehouse knows"):
            Published(ledger.warehouse, latest + timedelta(microseconds=1))
        with pytest.raises(CatalogueError, match="knew nothing at"):
            Published(ledger.warehouse, known_at - timedelta(days=1))
