
# Names of servers, pins and tokens, as niks3 has kept them.
complete -c niks3 -l server -x -a '(niks3 names servers 2>/dev/null)'
complete -c niks3 -n '__fish_seen_subcommand_from logout use' -f -a '(niks3 names servers 2>/dev/null)'
complete -c niks3 -n '__fish_seen_subcommand_from push' -l pin -x -a '(niks3 names pins 2>/dev/null)'
complete -c niks3 -n '__fish_seen_subcommand_from pins; and __fish_seen_subcommand_from create delete' -a '(niks3 names pins 2>/dev/null)'
complete -c niks3 -n '__fish_seen_subcommand_from tokens; and __fish_seen_subcommand_from revoke' -f -a '(niks3 names tokens 2>/dev/null)'
