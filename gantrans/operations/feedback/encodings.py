"""What describes the pictures of a model version in a store: its channels and classes."""

import json

from gantrans.config import from_dict, to_dict
from gantrans.data.encoding import Encoding
from gantrans.operations.feedback.database import Database

TABLE = (
    "CREATE TABLE IF NOT EXISTS encoding (direction TEXT NOT NULL, model TEXT NOT NULL, "
    "stated TEXT NOT NULL, PRIMARY KEY (direction, model))"
)
"""What `keep_encoding` notes of the models whose pictures are not grey; other versions pass over it."""


def keep_encoding(store: Database, direction: str, model: str, kept: Encoding) -> None:
    """Note what describes the pictures of a model version; of grey ones nothing is noted.

    Raises:
        StoreError: see `Database.transaction`.
    """
    if kept != Encoding() and encoding_of(store, direction, model) != kept:
        with store.transaction() as connection:
            row = (direction, model, json.dumps(to_dict(kept)))
            connection.execute("INSERT OR REPLACE INTO encoding VALUES (?, ?, ?)", row)


def encoding_of(store: Database, direction: str, model: str) -> Encoding:
    """What `keep_encoding` noted; the default if nothing."""
    query = "SELECT stated FROM encoding WHERE direction = ? AND model = ?"
    rows = store.rows(query, (direction, model))
    return from_dict(Encoding, json.loads(rows[0][0])) if rows else Encoding()
