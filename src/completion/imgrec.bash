# SPDX-License-Identifier: MIT
# Completion of the imgrec command for bash: commands and options are those that
# its --help tells, files whatever is there.

_imgrec() {
  local cur=${COMP_WORDS[COMP_CWORD]} words
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    words=$("$1" --help 2>/dev/null |
      sed -n 's/^  \([a-z-]*\) .*/\1/p; s/^  -.*\(--[a-z]*\) .*/\1/p')
  elif [[ $cur == -* ]]; then
    words=$("$1" "${COMP_WORDS[1]}" --help 2>/dev/null | sed '1,/^options:/d' |
      sed -n 's/^  \(-., \)\{0,1\}\(--[a-z0-9-]*\).*/\2/p')
  else
    return
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -o default -F _imgrec imgrec
