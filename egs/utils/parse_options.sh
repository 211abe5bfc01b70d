# Command line of a recipe: source it in run.sh after the variables with their defaults, one to a line:
#
#   stop_stage=4   # last stage to run      --stop-stage 3 sets it to 3
#   quick=false    # a small run            --quick sets it to true, --no-quick to false
#
# There is an option for every such variable and for no other. --help prints the comment at the top of the recipe, and
# the variables with their defaults and comments. Wrong use is one line on stderr and exit code 2.

_declared=$(sed '/parse_options.sh/q' "$0" | grep -E '^[a-z][a-z0-9_]*=' || true)

_is_option() { grep -q "^$1=" <<<"$_declared"; }

_fail() {
    echo "$0: $1: see $0 --help" >&2
    exit 2
}

_print_help() {
    sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"
    echo
    echo "Options, with their defaults:"
    local line name comment
    while IFS= read -r line; do
        name=${line%%=*}
        comment=
        if [[ $line == *"#"* ]]; then comment=${line#*# }; fi
        printf '  --%-14s %s [%s]\n' "${name//_/-}" "$comment" "${!name}"
    done <<<"$_declared"
}

while [ $# -gt 0 ]; do
    _argument=$1
    shift
    case $_argument in
        -h | --help)
            _print_help
            exit 0
            ;;
        --*=*)
            set -- "${_argument#*=}" "$@"
            _argument=${_argument%%=*}
            ;;
        --?*) ;;
        *) _fail "got '$_argument', expected an option such as --stage 1" ;;
    esac
    _name=${_argument#--}
    _name=${_name//-/_}
    _value=true
    if ! _is_option "$_name" && _is_option "${_name#no_}"; then
        _name=${_name#no_}
        _value=false
    fi
    _is_option "$_name" || _fail "there is no option $_argument"
    case ${!_name} in
        true | false) ;;
        *)
            [ $# -gt 0 ] || _fail "option $_argument needs a value"
            _value=$1
            shift
            ;;
    esac
    printf -v "$_name" '%s' "$_value"
done
unset _argument _name _value _declared
