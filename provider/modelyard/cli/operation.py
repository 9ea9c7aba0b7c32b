"""Makes the command of an operation from its specification."""

from typing import Any

import click

from modelyard.cli.flags import flag_name, option_of, plain, value_of
from modelyard.cli.options import OPERATION_FLAGS, Settings
from modelyard.cli.shorthand import SHORTHANDS, Shorthand
from modelyard.operations import OperationSpec, Parameter

__all__ = ["OperationCommand", "operation_command"]


class OperationCommand(click.Command):
    """A command whose flags and help come from an operation's declaration."""

    def __init__(self, spec: OperationSpec) -> None:
        self.spec = spec
        self.shorthand = SHORTHANDS.get(spec.name, Shorthand())
        flags: list[click.Parameter] = [
            option_of(each, *self.shorthand.names.get(each.name, ()), switch=each.name in self.shorthand.switches)
            for each in spec.parameters
        ]
        if self.shorthand.positional:
            argument = click.Argument([f"_{self.shorthand.positional}"], required=False, metavar=self._positional())
            flags.insert(0, argument)
        super().__init__(
            name=spec.name,
            params=[*flags, *(flag.option() for flag in OPERATION_FLAGS)],
            callback=self._start,
            help=plain(f"{spec.summary}\n\n{spec.description}").strip(),
        )

    def _positional(self) -> str:
        return f"[{self.shorthand.positional.upper()}]"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; an error says which command it is about, which click's parser leaves out at times."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the parameters, what every operation takes, and the fields of the result."""
        own = {each.name for each in self.spec.parameters}
        sections: dict[str, list[tuple[str, str]]] = {"Parameters": [], "Every operation": []}
        for option in self.get_params(ctx):
            row = option.get_help_record(ctx)
            if row:
                sections["Parameters" if option.name in own else "Every operation"].append(row)
        sections["Result"] = [
            (each.name, f"{plain(each.doc)}  [{each.type.described()}]") for each in self.spec.results
        ]
        for title, rows in sections.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are typed."""
        del ctx
        if self.spec.examples:
            with formatter.section("Examples"):
                for example in self.spec.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}$ {example}\n")

    def parameters(self, given: dict[str, Any], file: str) -> dict[str, Any]:
        """Return the operation's parameters: those of the file, and over them those of the flags.

        Raises
        ------
        UsageError
            A parameter is given both by its place and by its flag.
        """
        values: dict[str, Any] = {}
        if file:
            from modelyard.cli.documents import read_mapping

            values |= read_mapping(file, "--parameters-file")
        placed = given.get(f"_{self.shorthand.positional}")
        for each in self.spec.parameters:
            text = given[each.name]
            if each.name == self.shorthand.positional and placed is not None:
                if text is not None:
                    raise click.UsageError(f"{each.name} is given twice: {placed} and {flag_name(each.name)} {text}.")
                text = placed
            if text is None or text == ():
                continue
            value = value_of(each, text, read_values=each.name not in self.shorthand.text_values)
            values[each.name] = {**_mapping(each, values), **value} if each.type.kind == "mapping" else value
        return values

    def _start(self, **given: Any) -> None:
        settings = Settings.of(given)
        parameters = self.spec.bind(self.parameters(given, settings.parameters_file))
        from modelyard.cli.execution import execute

        execute(self.spec, parameters, settings)


def _mapping(parameter: Parameter, values: dict[str, Any]) -> dict[str, Any]:
    """Return what the parameters file says of a mapping that flags add to."""
    before = values.get(parameter.name)
    return before if isinstance(before, dict) else {}


def operation_command(spec: OperationSpec) -> click.Command:
    """Return the command of an operation; its implementation is imported when it is called."""
    return OperationCommand(spec)
