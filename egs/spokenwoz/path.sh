# Finds the command cse, and sets $python beside it. What this machine needs besides (modules, proxies) goes here.
. "$(dirname "${BASH_SOURCE[0]}")/../utils/path.sh"
