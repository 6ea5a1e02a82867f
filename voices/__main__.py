"""The child process that decodes a clip: `child.decode_safely` starts it, and tells it what to do."""

import json
import sys
from pathlib import Path

from sandbox import MIB, restrict
from voices.child import write_error, write_result
from voices.decoding import ClipLimits, UnreadableClip, decode


def main() -> None:
    request = json.load(sys.stdin)
    limits, result = ClipLimits(**request["limits"]), Path(request["result"])
    restrict(limits.bounds, written_bytes=4 * limits.samples + MIB)
    try:
        write_result(result, decode(Path(request["path"]), limits))
        return
    except UnreadableClip as error:
        reason = error
    except MemoryError:
        reason = UnreadableClip("Decoding the file takes more memory than is allowed.")
    except Exception as error:  # a fault of ours or the decoder's, that a file has found: it ends here, by its kind
        reason = UnreadableClip(f"The file could not be decoded; it may be damaged ({type(error).__name__}).")
    write_error(result, reason)


if __name__ == "__main__":
    main()
