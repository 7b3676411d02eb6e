"""Shell completion knows the commands, and misspelt ones are answered."""
import shutil
import subprocess

import pytest

from fpkit.cli import _parser, main
from fpkit.commands.completion import script, subcommands


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_names_every_command_and_option(shell, capsys):
    assert main(["completion", shell]) == 0
    text = capsys.readouterr().out
    for name, parser in subcommands(_parser()).items():
        assert name in text
        for action in parser._actions:
            assert all(o.lstrip("-") in text for o in action.option_strings), name
    assert "mueller_brown" in text


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.parametrize("words, wanted", [("fpkit ev", "evolve"), ("fpkit evolve --th", "--theta"),
                                           ("fpkit rates muel", "mueller_brown")])
def test_bash_completes_with_it(words, wanted):
    line = script(_parser(), "bash") + f"""
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _fpkit; echo "${{COMPREPLY[@]}}" """
    found = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert wanted in found.stdout.split()


@pytest.mark.parametrize("argv, guess", [(["evlove", "x**2"], "evolve"),
                                         (["evolve", "x**2", "--theta", "1", "--tims", "1"], "--times")])
def test_misspelt_commands_and_options_are_answered(argv, guess, capsys):
    with pytest.raises(SystemExit) as left:
        main(argv)
    assert left.value.code == 2 and f"Did you mean {guess!r}?" in capsys.readouterr().err
