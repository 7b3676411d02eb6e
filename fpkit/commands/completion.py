"""fpkit completion: how a shell completes commands, options, choices and names of the catalogue."""
from __future__ import annotations

import argparse

from ..potentials import catalogue
from .common import command

SHELLS = ("bash", "zsh", "fish")
HELP = {"bash": 'eval "$(fpkit completion bash)" in ~/.bashrc',
        "zsh": 'eval "$(fpkit completion zsh)" in ~/.zshrc',
        "fish": "fpkit completion fish > ~/.config/fish/completions/fpkit.fish"}


def add(commands):
    c = command(commands, "completion", _completion, "print the completion of this command for a shell")
    c.add_argument("shell", choices=SHELLS, help="; ".join(HELP.values()))


def _completion(arguments):
    print(script(arguments.parser, arguments.shell), end="")


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The text that the shell evaluates, made from the parser."""
    known = {name: _words(sub) for name, sub in subcommands(parser).items()}
    return _fish(known) if shell == "fish" else _bash(known, shell)


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of the commands (of a command: its own commands)."""
    found = [a.choices for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return dict(found[0]) if found else {}


def _words(parser):
    """(options, other words) of one command."""
    options = sorted(o for a in parser._actions for o in a.option_strings)
    words = [str(w) for a in parser._actions for w in (a.choices or ())]
    if any(a.dest == "expression" for a in parser._actions):
        words += catalogue.names()
    for sub in subcommands(parser).values():
        options = sorted({*options, *(o for a in sub._actions for o in a.option_strings)})
    return options, sorted(set(words))


def _bash(known, shell):
    cases = "\n".join(f'        {name}) options="{" ".join(o)}"; words="{" ".join(w)}" ;;'
                      for name, (o, w) in sorted(known.items()))
    start = "autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else ""
    return f"""{start}_fpkit() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" options="" words=""
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "{" ".join(sorted(known))} --help --version" -- "$current")); return
    fi
    case "${{COMP_WORDS[1]}}" in
{cases}
    esac
    case "$current" in
        -*) COMPREPLY=($(compgen -W "$options" -- "$current")) ;;
        *) COMPREPLY=($(compgen -W "$words" -- "$current") $(compgen -f -- "$current")) ;;
    esac
}}
complete -o filenames -F _fpkit fpkit
"""


def _fish(known):
    lines = [f"complete -c fpkit -n __fish_use_subcommand -f -a '{' '.join(sorted(known))}'"]
    for name, (options, words) in sorted(known.items()):
        here = f"complete -c fpkit -n '__fish_seen_subcommand_from {name}'"
        lines += [f"{here} -l {o[2:]}" for o in options if o.startswith("--")]
        lines += [f"{here} -s {o[1:]}" for o in options if len(o) == 2]
        lines += [f"{here} -a '{' '.join(words)}'"] if words else []
    return "\n".join(lines) + "\n"
