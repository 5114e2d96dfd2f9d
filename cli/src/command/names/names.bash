
# Names of servers, pins and tokens, as niks3 has kept them.
_niks3_names() {
    local kind=
    case "${COMP_WORDS[COMP_CWORD - 1]}" in
    --server | logout | use) kind=servers ;;
    --pin) kind=pins ;;
    create | delete) [[ "${COMP_WORDS[COMP_CWORD - 2]}" == pins ]] && kind=pins ;;
    revoke) [[ "${COMP_WORDS[COMP_CWORD - 2]}" == tokens ]] && kind=tokens ;;
    esac
    if [[ -n "$kind" && "${COMP_WORDS[COMP_CWORD]}" != -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(niks3 names "$kind" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}")
    else
        _niks3 "$@"
    fi
}
complete -F _niks3_names -o bashdefault -o default niks3
