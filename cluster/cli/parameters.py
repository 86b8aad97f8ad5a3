"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Sets = Annotated[
    list[str] | None, typer.Option("--set", help="KEY=VALUE in place of the recipe's; may be repeated")
]
Output = Annotated[str, typer.Option(help="folder or URI for the results")]
Run = Annotated[str, typer.Argument(help="output folder of loupe pretrain")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object for machines")]
Seed = Annotated[int, typer.Option(help="the same seed gives the same bytes")]
