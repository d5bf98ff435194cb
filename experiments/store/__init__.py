"""The store: results of grids as Parquet files that pandas, DuckDB and Jupyter read directly.

``STORE/<table>/<key>.parquet`` is what one cell adds to one table; ``pd.read_parquet("STORE/runs")`` is all of a table.
"""

from experiments.store.reading import read_instance_of, read_schedule_of, read_table
from experiments.store.schema import tables
from experiments.store.store import CellFiles, Store

__all__ = ["CellFiles", "Store", "read_instance_of", "read_schedule_of", "read_table", "tables"]
