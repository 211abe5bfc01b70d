# Puts the command cse on the PATH (that of the active environment, or else the one that `make` built in .venv) and
# sets $python to the interpreter beside it.

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
if ! command -v cse >/dev/null && [ -x "$repository/.venv/bin/cse" ]; then
    PATH="$repository/.venv/bin:$PATH"
fi
if ! command -v cse >/dev/null; then
    echo "the command cse is not on the PATH; type: make -C $repository env" >&2
    exit 2
fi
python=$(dirname "$(command -v cse)")/python
