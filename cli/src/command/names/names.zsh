
# Names of servers, pins and tokens, as niks3 has kept them.
_niks3_names() {
    local kind=
    case "${words[CURRENT - 1]}" in
    --server | logout | use) kind=servers ;;
    --pin) kind=pins ;;
    create | delete) [[ "${words[CURRENT - 2]}" == pins ]] && kind=pins ;;
    revoke) [[ "${words[CURRENT - 2]}" == tokens ]] && kind=tokens ;;
    esac
    if [[ -n "$kind" && "${words[CURRENT]}" != -* ]]; then
        compadd -- ${(f)"$(niks3 names "$kind" 2>/dev/null)"}
    else
        _niks3 "$@"
    fi
}
compdef _niks3_names niks3
