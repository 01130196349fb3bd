# SPDX-License-Identifier: MIT
# Completion of the imgrec command for fish: commands and options are those that
# its --help tells, files whatever is there.

function __imgrec_commands
    imgrec --help 2>/dev/null | sed -n 's/^  \([a-z-]*\)  *\([a-z].*\)/\1\t\2/p'
end

function __imgrec_options
    set -l words (commandline -opc)
    imgrec $words[2] --help 2>/dev/null | sed '1,/^options:/d' |
        sed -n 's/^  \(-., \)\{0,1\}\(--[a-z0-9-]*\)\(\[=[A-Z]*\]\)*\( [A-Zx]*\)*  *\(.*\)/\2\t\5/p'
end

complete -c imgrec -n __fish_use_subcommand -f -a '(__imgrec_commands)'
complete -c imgrec -n 'not __fish_use_subcommand; and string match -q -- "-*" (commandline -ct)' -f -a '(__imgrec_options)'
