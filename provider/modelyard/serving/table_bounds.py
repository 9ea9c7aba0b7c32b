"""The most that a table in a request may hold."""

from typing import NamedTuple

from modelyard.serving.errors import RowsExceeded, TableTooLarge

__all__ = ["TableBounds"]


class TableBounds(NamedTuple):
    """The most that a table may hold.

    Parameters
    ----------
    rows
        How many rows.
    size
        How many bytes, unpacked.
    """

    rows: int
    size: int

    def check_rows(self, rows: int) -> None:
        """Refuse more rows.

        Raises
        ------
        RowsExceeded
            There are more.
        """
        if rows > self.rows:
            raise RowsExceeded(rows, self.rows)

    def check_size(self, size: int) -> None:
        """Refuse more bytes.

        Raises
        ------
        TableTooLarge
            There are more.
        """
        if size > self.size:
            raise TableTooLarge(size, self.size)
