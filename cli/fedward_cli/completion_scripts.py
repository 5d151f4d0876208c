"""What a shell reads to complete `fedward`: it asks the program itself, by `fedward __complete WORD...`."""

from __future__ import annotations

from enum import StrEnum


class Shell(StrEnum):
    """A shell that can be told."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


SCRIPTS = {
    Shell.BASH: """\
_fedward() {
    local IFS=$'\\n'
    COMPREPLY=($("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _fedward fedward
""",
    Shell.ZSH: """\
#compdef fedward
_fedward() {
    local -a found
    found=(${(f)"$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    compadd -a found || _files
}
# A file of fpath is this function's first call; whoever sources it has the function named.
if [[ ${funcstack[1]} == _fedward ]]; then _fedward; else compdef _fedward fedward; fi
""",
    Shell.FISH: """\
function __fedward_complete
    set -l found (fedward __complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)
    if set -q found[1]
        string join \\n $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c fedward -f -a '(__fedward_complete)'
""",
}
