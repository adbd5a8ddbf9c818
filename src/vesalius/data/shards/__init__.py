"""Shards: pictures with exchanges, reports and instructions in WebDataset tars or Parquet, written so that a kill loses nothing, read from any place.

In: records. Out: a folder with an index, and streams of records in a repeatable order.
"""

from vesalius.data.shards.index import Index, Shard, ShardError
from vesalius.data.shards.read import Shards
from vesalius.data.shards.record import Record, key_of
from vesalius.data.shards.verify import Verdict, verify
from vesalius.data.shards.write import Form, write, written

__all__ = ["Form", "Index", "Record", "Shard", "ShardError", "Shards", "Verdict", "key_of", "verify", "write", "written"]
