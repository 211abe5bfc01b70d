"""`cse convert-checkpoint`: turns a checkpoint of the paper's own code into one that `cse` loads."""

from __future__ import annotations

from cse.cli.parser import Parser
from cse.published.convert import convert_checkpoint


def main(argv: list[str]) -> int:
    """Convert, and say what it was."""
    parser = Parser(prog="cse convert-checkpoint", description=__doc__.split(": ", 1)[1])
    parser.add_argument(
        "published",
        metavar="PUBLISHED",
        help='*.ckpt: weights under "state_dict"; read without running what is in it',
    )
    parser.add_argument(
        "out", metavar="OUT", help="the new checkpoint: a folder, or one file that ends in .safetensors"
    )
    options = parser.parse_args(argv)
    config = convert_checkpoint(options.published, options.out)
    kind, talkers = config["_target_"].rpartition(".")[2], config["backbone"]["talkers"]
    print(f"{options.out}: {kind}, {talkers} talkers; licence of the weights: CC BY-NC, see the model card")
    return 0
